import type { Host } from "../host/host.ts";
import { parseStat } from "../host/proc-stat.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { ProcessIdentity } from "../vm/process.ts";

/** Set for the whole of a task's exit: `PF_EXITING` of the kernel's `include/linux/sched.h`, since Linux 2.6. */
const EXITING = 0x4;

/**
 * Whether a process is still the same, and whole. Stricter than being alive: a process that exits loses its memory, then
 * its descriptors, then its namespaces, over milliseconds with a guest's memory to free, and is no zombie until the end.
 * What is read of it meanwhile looks like an empty environment and no descriptors. Exiting is never taken back, so one
 * look afterwards vouches for all that was read before.
 */
export function isWhole(host: Host, process: ProcessIdentity): boolean {
  if (process.bootId !== host.processes.self.bootId) return false;
  const text = readStat(host, process.pid);
  const stat = text === undefined ? undefined : parseStat(text);
  if (text === undefined || stat === undefined || stat.state === "Z" || stat.state === "X") return false;
  return stat.startTicks === process.startTicks && !isExiting(text);
}

/** Whether the text of a `stat` is that of a task on its way out: field 9, the seventh after the closing bracket. */
export function isExiting(stat: string): boolean {
  const flags = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[6]);
  return (flags & EXITING) !== 0;
}

function readStat(host: Host, pid: number): string | undefined {
  try {
    return host.files.readText(`${host.roots.proc}/${pid}/stat`);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
