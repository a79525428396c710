import { type CgroupUsage, readUsage } from "../cgroup/usage.ts";
import type { Host } from "../host/host.ts";
import type { VmRecord } from "../vm/record.ts";
import { isLive } from "../vm/state.ts";
import { readProcessUsage } from "./process-usage.ts";

/** What a VM uses, as the kernel counts it. A member is absent where it does not. */
export type VmUsage = CgroupUsage;

/** What a VM uses now, by its cgroup, or by its process where it has none of its own; nothing, where it does not run. */
export function usageOf(host: Host, { cgroup, process, state }: VmRecord): VmUsage {
  if (!isLive(state)) return {};
  if (cgroup !== undefined) return readUsage(host, cgroup);
  return process === undefined ? {} : readProcessUsage(host, process);
}
