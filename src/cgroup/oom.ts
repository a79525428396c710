import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { CgroupPlacement } from "../vm/record.ts";

/** What a VM's cgroup counted of want of memory. */
export interface OomCounts {
  /** Processes in it that the kernel killed for want of memory, its own or the host's. */
  readonly kills: number;
  /** Times that its own limit was met, and nothing could be freed (v2) or something had to be (v1). */
  readonly limitHits: number;
}

/** Counters of a cgroup that is still there; `undefined` where it is not, or does not count. */
export function readOomCounts(host: Host, placement: CgroupPlacement): OomCounts | undefined {
  const directory = placement.directories.memory;
  if (directory === undefined) return undefined;
  const file = placement.version === 2 ? "memory.events" : "memory.oom_control";
  const counters = read(host, `${directory}/${file}`);
  const kills = counter(counters, "oom_kill");
  if (kills === undefined) return undefined;
  const hits = placement.version === 2 ? counter(counters, "oom") : Number(read(host, `${directory}/memory.failcnt`));
  return { kills, limitHits: Number.isSafeInteger(hits) ? Number(hits) : 0 };
}

/** Lines of `key value`: the kernel's Documentation/admin-guide/cgroup-v2.rst, and cgroup-v1/memory.rst. */
function counter(text: string | undefined, key: string): number | undefined {
  const value = new RegExp(`^${key} (\\d+)$`, "m").exec(text ?? "")?.[1];
  return value === undefined ? undefined : Number(value);
}

function read(host: Host, path: string): string | undefined {
  try {
    return host.files.readText(path);
  } catch (error) {
    if (["ENOENT", "ENODEV", "EOPNOTSUPP"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw error;
  }
}
