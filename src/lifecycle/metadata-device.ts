import type { MmdsConfig } from "../firecracker/models.ts";
import { METADATA_LIMIT_BYTES } from "../vm/metadata.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmSpec } from "../vm/spec.ts";

/** How metadata are served, as Firecracker's configuration has it; nothing for a VM without. Pure. */
export function metadataDevice({ spec, network }: VmRecord): { readonly mmds?: MmdsConfig } {
  const { metadata } = spec;
  const [first] = network?.interfaces ?? [];
  if (metadata === undefined || first === undefined) return {};
  return {
    mmds: {
      network_interfaces: metadata.interfaces ?? [first.name],
      version: metadata.version,
      ...(metadata.address === undefined ? {} : { ipv4_address: metadata.address }),
      ...(metadata.imdsCompat === undefined ? {} : { imds_compat: metadata.imdsCompat }),
    },
  };
}

/** Firecracker's arguments for metadata that are larger than it takes by itself. Pure. */
export function metadataLimits({ metadata }: VmSpec): { httpMaxPayloadBytes?: number; mmdsLimitBytes?: number } {
  if (metadata === undefined || metadata.limitBytes === METADATA_LIMIT_BYTES) return {};
  // A request is never kept shorter than it would be: others than these have to fit too.
  return { mmdsLimitBytes: metadata.limitBytes, httpMaxPayloadBytes: requestLimitBytes({ metadata }) };
}

/** Most bytes of a request to a VM's Firecracker. Pure. */
export function requestLimitBytes({ metadata }: Pick<VmSpec, "metadata">): number {
  return Math.max(METADATA_LIMIT_BYTES, metadata?.limitBytes ?? 0);
}
