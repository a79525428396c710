import type { Host } from "../host/host.ts";
import type { ProcessIdentity } from "../vm/process.ts";

/** What the kernel wrote when it killed a process for want of memory. */
export interface OomKill {
  /** Whose memory was short: that of a cgroup, or the host's. */
  readonly scope: "cgroup" | "host";
  readonly text: string;
}

/** Whom to look for. */
export interface OomVictim {
  /** A user of the VM's own. Absent: the process is looked for by its pid. */
  readonly uid?: number;
  readonly process: ProcessIdentity;
}

const DMESG_TIMEOUT_MS = 2_000;

/** Of `/proc/<pid>/stat`'s start times: `USER_HZ`, 100 on every architecture that runs Firecracker. */
const TICKS_PER_SECOND = 100;

/** `mm/oom_kill.c`, `__oom_kill_process`: the same words from 5.4 on, which also names the user. */
const grammar =
  /^\[ *(\d+\.\d+)\] (Memory cgroup out of memory|Out of memory)(?: \([^)]*\))?: Killed process (\d+) \(.*?\)(?:.* UID:(\d+)\b)?/;

/** Asks the kernel's log; `undefined` where it says nothing of the process, or may not be read. */
export async function findOomKill(host: Host, victim: OomVictim): Promise<OomKill | undefined> {
  try {
    const { stdout } = await host.commands.run({ tool: "dmesg", args: [], timeoutMs: DMESG_TIMEOUT_MS });
    return parseOomKill(stdout, victim);
  } catch {
    // Not installed, or not allowed, as in most containers: it would only have been evidence.
    return undefined;
  }
}

/** The newest line on the victim, of those that came after it was started. Total. */
export function parseOomKill(log: string, { uid, process }: OomVictim): OomKill | undefined {
  const startedAt = Math.floor(Number(process.startTicks) / TICKS_PER_SECOND);
  return log
    .split("\n")
    .toReversed()
    .map((line): OomKill | undefined => {
      const [, time, words, pid, user] = grammar.exec(line) ?? [];
      if (time === undefined || Number(time) < startedAt) return undefined;
      const isVictim = uid !== undefined && user !== undefined ? Number(user) === uid : Number(pid) === process.pid;
      const scope = words?.startsWith("Memory cgroup") === true ? "cgroup" : "host";
      return isVictim ? { scope, text: line.slice(0, 300) } : undefined;
    })
    .find((kill) => kill !== undefined);
}
