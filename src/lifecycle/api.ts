import { FirecrackerClient } from "../firecracker/client.ts";
import { parseVersion } from "../firecracker/version.ts";
import type { Host } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";
import type { JailLayout, VmBinaries } from "../vm/record.ts";
import type { VmSpec } from "../vm/spec.ts";
import { requestLimitBytes } from "./metadata-device.ts";

/** A client of one VM's Firecracker. Connects with the first call. */
export function connectApi(
  host: Host,
  vm: { readonly layout: JailLayout; readonly binaries: VmBinaries; readonly spec: Pick<VmSpec, "metadata"> },
): FirecrackerClient {
  const version = parseVersion(vm.binaries.version);
  const bodyLimitBytes = requestLimitBytes(vm.spec);
  if (version !== undefined) return new FirecrackerClient(host, { socket: vm.layout.socket, version, bodyLimitBytes });
  throw new WarderError("version-mismatch", {
    doing: `connecting to Firecracker of ${vm.layout.id}`,
    why: `its version ${JSON.stringify(vm.binaries.version)} is none`,
  });
}
