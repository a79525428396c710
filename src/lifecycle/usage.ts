import { type CgroupUsage, readUsage } from "../cgroup/usage.ts";
import type { Host } from "../host/host.ts";
import type { VmRecord } from "../vm/record.ts";

/** What a VM uses, as the kernel counts it. A member is absent where it does not. */
export type VmUsage = CgroupUsage;

/** What a VM uses now; nothing, where it has ended or has no cgroup of its own. */
export function usageOf(host: Host, { cgroup, exit }: VmRecord): VmUsage {
  return cgroup === undefined || exit !== undefined ? {} : readUsage(host, cgroup);
}
