import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { CgroupPlacement } from "../vm/record.ts";

/** What a VM's cgroup counted of want of memory. */
export interface OomCounts {
  /** Processes in it that the kernel killed for want of memory, its own or the host's. */
  readonly kills: number;
  /** Whether its own limit was ever met. */
  readonly isLimitMet: boolean;
}

/** Counters of a cgroup that is still there; `undefined` where it is not, or does not count. */
export function readOomCounts(host: Host, placement: CgroupPlacement): OomCounts | undefined {
  const directory = placement.directories.memory;
  if (directory === undefined) return undefined;
  const file = placement.version === 2 ? "memory.events" : "memory.oom_control";
  const counters = read(host, `${directory}/${file}`);
  const kills = counter(counters, "oom_kill");
  if (kills === undefined) return undefined;
  const isLimitMet = placement.version === 2 ? (counter(counters, "oom") ?? 0) > 0 : isPeakAtLimit(host, directory);
  return { kills, isLimitMet };
}

/** Memory is charged in batches for each CPU, so the highest use stays a little below a limit that was met. */
const BATCHES_BYTES = 2 * 1024 * 1024;

/** v1 counts failures in `memory.failcnt`, but not of a limit that is that of memory with swap, too (Linux 6.18). */
function isPeakAtLimit(host: Host, directory: string): boolean {
  return ["memory", "memory.memsw"].some((name) => {
    const [failures, limit, peak] = ["failcnt", "limit_in_bytes", "max_usage_in_bytes"].map((file) =>
      Number(read(host, `${directory}/${name}.${file}`) ?? Number.NaN),
    );
    return Number(failures) > 0 || Number(peak) >= Number(limit) - BATCHES_BYTES;
  });
}

/** Lines of `key value`: the kernel's Documentation/admin-guide/cgroup-v2.rst, and cgroup-v1/memory.rst. */
function counter(text: string | undefined, key: string): number | undefined {
  const line = (text ?? "").split("\n").find((each) => each.startsWith(`${key} `));
  const value = line?.slice(key.length + 1);
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

function read(host: Host, path: string): string | undefined {
  try {
    return host.files.readText(path);
  } catch (error) {
    if (["ENOENT", "ENODEV", "EOPNOTSUPP"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw error;
  }
}
