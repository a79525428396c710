import type { Host } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";
import type { InterfaceName } from "../vm/network/names.ts";
import type { HostPath } from "../vm/path.ts";
import { compareTap, type Finding } from "./controls.ts";
import { type FoundDevice, parseDevices } from "./found.ts";
import type { TapOwner } from "./ip-batch.ts";
import { type Bounds, runTool } from "./tools.ts";

/** A TAP device that the caller made. */
export interface UserTap {
  readonly name: string;
  readonly tap: InterfaceName;
}

/**
 * Looks at TAP devices that the caller made, in a namespace or on the host. They are joined as they are: neither changed
 * nor removed.
 *
 * @param owner - The jail's user, to whom they must belong. Absent: not known yet.
 * @throws {@link WarderError} `interface-unfit` with what each lacks.
 */
export async function requireTaps(
  host: Host,
  namespace: HostPath | undefined,
  taps: readonly UserTap[],
  owner: TapOwner,
  bounds: Bounds,
): Promise<void> {
  const devices = await readDevices(host, namespace, bounds);
  const fields = taps.flatMap(({ name, tap }) => {
    const problem = tapProblem(
      devices.find(({ ifname }) => ifname === tap),
      owner,
    );
    return problem === undefined ? [] : [{ field: name, problem: `${tap} ${problem}` }];
  });
  if (fields.length === 0) return;
  throw new WarderError("interface-unfit", {
    doing: `looking at the TAP devices in ${namespace ?? "the host's network"}`,
    why: fields.length === 1 ? "one can not be used" : `${fields.length} can not be used`,
    fields,
    cure: `Make each for the jail's user: \`ip tuntap add dev NAME mode tap user ${owner.uid} group ${owner.gid}\`, and start the VM with that \`--uid\``,
  });
}

/** The same, as controls of the proof. */
export async function findTaps(
  host: Host,
  namespace: HostPath | undefined,
  taps: readonly UserTap[],
  owner: TapOwner,
  bounds: Bounds,
): Promise<Finding[]> {
  const devices = await readDevices(host, namespace, bounds);
  return taps.map(({ name, tap }) => compareTap(name, tap, owner, devices));
}

async function readDevices(host: Host, namespace: HostPath | undefined, bounds: Bounds): Promise<FoundDevice[]> {
  return parseDevices(await runTool(host, namespace, "ip", ["-j", "-d", "addr", "show"], bounds));
}

/** Firecracker opens the device as the jail's user: the kernel lets it if that is the owner, or the device nobody's. */
function tapProblem(device: FoundDevice | undefined, { uid, gid }: TapOwner): string | undefined {
  if (device === undefined) return "is not there";
  const { type, user, group } = device.linkinfo?.info_data ?? {};
  if (type !== "tap") return "is no TAP device";
  if (user === undefined) return "belongs to nobody, so that every user could attach to it";
  if (user !== uid) return `belongs to the user ${user}, and the jail's is ${uid}`;
  if (group !== undefined && group !== gid) return `belongs to the group ${group}, and the jail's is ${gid}`;
  return device.flags.includes("UP") ? undefined : "is down";
}
