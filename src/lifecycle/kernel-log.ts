import type { Host } from "../host/host.ts";
import type { ProcessIdentity } from "../vm/process.ts";

/** What the kernel wrote when it killed a process for want of memory. */
export interface OomKill {
  /** Whose memory was short: that of the VM's own cgroup, of one above it, or the host's. */
  readonly scope: "own" | "above" | "host";
  readonly text: string;
}

/** Whom to look for. */
export interface OomVictim {
  /** A user of the VM's own. Absent: the process is looked for by its pid. */
  readonly uid?: number;
  readonly process: ProcessIdentity;
  /** The VM's cgroup, below wherever it is mounted: `/jailer/vm-1`. */
  readonly cgroup?: string;
}

const DMESG_TIMEOUT_MS = 2_000;

/** Of `/proc/<pid>/stat`'s start times: `USER_HZ`, 100 on every architecture that runs Firecracker. */
const TICKS_PER_SECOND = 100;

/** `mm/oom_kill.c`, `dump_oom_summary`, from Linux 5.0 on; written right before the kill. Names of tasks are anybody's. */
const grammar =
  /^\[ *(\d+\.\d+)\] oom-kill:constraint=\w+,.*?(?:(global_oom)|oom_memcg=([^,]*)),task_memcg=.*,pid=(\d+),uid=(\d+)$/;

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
export function parseOomKill(log: string, victim: OomVictim): OomKill | undefined {
  const startedAt = Math.floor(Number(victim.process.startTicks) / TICKS_PER_SECOND);
  return log
    .split("\n")
    .toReversed()
    .map((line): OomKill | undefined => {
      const [, time, globally, group, pid, user] = grammar.exec(line) ?? [];
      if (time === undefined || Number(time) < startedAt) return undefined;
      const isVictim = victim.uid === undefined ? Number(pid) === victim.process.pid : Number(user) === victim.uid;
      return isVictim ? { scope: scopeOf(victim, globally, group), text: line.slice(0, 400) } : undefined;
    })
    .find((kill) => kill !== undefined);
}

function scopeOf({ cgroup }: OomVictim, globally: string | undefined, group = ""): OomKill["scope"] {
  if (globally !== undefined) return "host";
  return cgroup !== undefined && group.endsWith(cgroup) ? "own" : "above";
}
