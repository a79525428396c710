import { knownBugsOf } from "../firecracker/bugs.ts";
import { parseVersion } from "../firecracker/version.ts";
import { WarderError } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";

/** Names in the table of Firecracker's defects. */
const LOSSES = ["vsock-after-resume", "vsock-livelock-after-resume"];

/**
 * Refuses to pause a VM whose Firecracker would lose its vsock by it: the guest could not be reached any more, by
 * anything but a new start.
 *
 * @throws {@link WarderError} `feature-unsupported`.
 */
export function refuseVsockLoss({ id, spec, binaries }: Pick<VmRecord, "id" | "spec" | "binaries">): void {
  const version = parseVersion(binaries.version);
  if (spec.vsock === undefined || version === undefined) return;
  const [loss] = knownBugsOf(version).filter(({ name }) => LOSSES.includes(name));
  if (loss === undefined) return;
  throw new WarderError("feature-unsupported", {
    doing: `pausing ${id}`,
    why: `it has a vsock, and with Firecracker ${version.text}, ${loss.what} (${loss.source})`,
    cure: "Use a release without this defect, or force it where the VM is not to be resumed",
  });
}
