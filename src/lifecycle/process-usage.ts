import type { CgroupUsage } from "../cgroup/usage.ts";
import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { ProcessIdentity } from "../vm/process.ts";

/** Clock ticks of `/proc` in a second: the kernel's USER_HZ, which is 100 on every architecture that runs Firecracker. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

/**
 * What one process uses, as `/proc` counts it: for a VM without a cgroup of its own. Nothing where it has ended, or
 * another process has its pid by now.
 */
export function readProcessUsage(host: Host, process: ProcessIdentity): CgroupUsage {
  try {
    const directory = `${host.roots.proc}/${process.pid}`;
    const usage = {
      ...fromStat(host.files.readText(`${directory}/stat`)),
      ...fromStatus(host.files.readText(`${directory}/status`)),
      ...fromIo(host.files.readText(`${directory}/io`)),
    };
    // Looked at last: what was read before was then the process's own.
    return host.processes.isAlive(process) ? usage : {};
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(systemCodeOf(error) ?? "")) return {};
    throw error;
  }
}

/** Fields 14 and 15 of proc_pid_stat(5), counted from the bracket that ends the command's name. */
function fromStat(text: string): CgroupUsage {
  const fields = text
    .slice(text.lastIndexOf(")") + 1)
    .trim()
    .split(/\s+/);
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isSafeInteger(ticks) ? { cpuMicroseconds: (ticks * 1_000_000) / TICKS_PER_SECOND } : {};
}

function fromStatus(text: string): CgroupUsage {
  return defined({
    memoryBytes: scaled(numberAfter(text, "VmRSS:"), KIB),
    memoryPeakBytes: scaled(numberAfter(text, "VmHWM:"), KIB),
    pids: numberAfter(text, "Threads:"),
  });
}

function fromIo(text: string): CgroupUsage {
  return defined({ readBytes: numberAfter(text, "read_bytes:"), writtenBytes: numberAfter(text, "write_bytes:") });
}

/** The number in the line that begins with `name`. */
function numberAfter(text: string, name: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(name));
  const match = /^\s*(\d+)/.exec(line?.slice(name.length) ?? "");
  return match === null ? undefined : Number(match[1]);
}

function scaled(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : value * unit;
}

function defined(usage: { readonly [Member in keyof CgroupUsage]: CgroupUsage[Member] | undefined }): CgroupUsage {
  return Object.fromEntries(Object.entries(usage).filter(([, value]) => value !== undefined));
}
