import { create, fromJsonString } from "@bufbuild/protobuf";
import { type VmConfig, VmConfigSchema } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import type { VmRecord } from "../../vm/record.ts";
import { mibToBytes } from "../../vm/size.ts";

/** Where the config stands that a VM was created with, as JSON. */
export const REQUEST_ANNOTATION = "vmprovisioner.v1.VmConfig";

/** A VM's config: as it was given, or for a VM that was made in another way, what it was given in these words. */
export function configOf({ spec }: VmRecord): VmConfig {
  const given = spec.annotations?.[REQUEST_ANNOTATION];
  if (given !== undefined) return fromJsonString(VmConfigSchema, given, { ignoreUnknownFields: true });
  return create(VmConfigSchema, {
    cpu: { vcpuCount: spec.vcpus },
    memory: { sizeBytes: BigInt(mibToBytes(spec.memoryMib)) },
    boot: { kernelPath: spec.kernel, initrdPath: spec.initrd ?? "", kernelArgs: spec.bootArgs },
    storage: spec.drives.map(({ id, path, readOnly, root }) => ({ id, path, readOnly, isRootDevice: root })),
    console: { enabled: true, consoleType: "serial" },
    metadata: { ...spec.labels },
  });
}
