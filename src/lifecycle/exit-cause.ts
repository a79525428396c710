import type { ExitCause, VmExit } from "../vm/exit.ts";
import type { ProcessExit } from "../vm/process.ts";
import type { ShutdownMethod } from "../vm/shutdown.ts";

/** What is known when a VM has ended. */
export interface ExitFacts {
  readonly exit: ProcessExit;
  /** Firecracker hung when its guest had ended, and this manager killed it. */
  readonly hung?: boolean;
  readonly at: number;
  /** Newest lines of Firecracker's log. */
  readonly log: string;
  /** Newest output of the guest's serial port. */
  readonly console: string;
  /** The rung that ended it, where this manager shut it down. */
  readonly endedBy?: ShutdownMethod;
  /** Times that the kernel killed something in the VM's cgroup for want of memory. */
  readonly oomKills?: number;
}

/** Exit statuses of Firecracker's own, as 1.12 to 1.16 define them (`src/vmm/src/lib.rs`, `FcExitCode`). */
const SECCOMP_STATUS = 148;
const signalStatuses: Readonly<Record<number, string>> = {
  149: "SIGBUS (a file or huge page behind its memory went away)",
  150: "SIGSEGV",
  151: "SIGXFSZ (it met its file size limit)",
  154: "SIGXCPU",
  156: "SIGHUP",
  157: "SIGILL",
};

/**
 * Why a VM ended, with the evidence. What the kernel and the exit status say goes before what Firecracker's log says,
 * and that before the console, which is the guest's to write.
 */
export function concludeExit(facts: ExitFacts): VmExit {
  const { cause, evidence } = conclude(facts);
  return { code: facts.exit.code, signal: facts.exit.signal, at: facts.at, cause, evidence };
}

interface Conclusion {
  readonly cause: ExitCause;
  readonly evidence: readonly string[];
}

function conclude(facts: ExitFacts): Conclusion {
  const { code, signal } = facts.exit;
  if ((facts.oomKills ?? 0) > 0 && signal === "SIGKILL") {
    return { cause: "out-of-memory", evidence: [`the kernel counted ${facts.oomKills} kill(s) in the VM's cgroup`] };
  }
  if (facts.hung === true)
    return {
      cause: "guest-ended",
      evidence: linesWith(facts.log, "stopping").concat("Firecracker then hung, and was killed"),
    };
  if (facts.endedBy !== undefined) return shutDownBy(facts.endedBy);
  if (signal !== null)
    return { cause: "killed-by-stranger", evidence: [`ended by ${signal}, which this manager did not send`] };
  if (code === null) return fromLog(facts);
  if (code === SECCOMP_STATUS)
    return { cause: "seccomp", evidence: [`exit status ${code}`, ...linesWith(facts.log, "bad syscall")] };
  const died = signalStatuses[code];
  if (died !== undefined)
    return { cause: "firecracker-error", evidence: [`exit status ${code}: ${died}`, ...lastLines(facts.log)] };
  if (code !== 0) return { cause: "firecracker-error", evidence: [`exit status ${code}`, ...lastLines(facts.log)] };
  return cleanEnd(facts);
}

function shutDownBy(method: ShutdownMethod): Conclusion {
  return {
    cause: method === "ctrl-alt-del" ? "stopped" : "killed",
    evidence: [`ended by this manager with ${method}`],
  };
}

/** Nobody collected the status: only the log can tell. */
function fromLog(facts: ExitFacts): Conclusion {
  if (/exiting successfully/i.test(facts.log)) return cleanEnd(facts);
  const failures = linesWith(facts.log, "exiting with error");
  if (failures.length > 0) return { cause: "firecracker-error", evidence: failures };
  return { cause: "unknown", evidence: ["the exit status was not collected", ...lastLines(facts.log)] };
}

function cleanEnd(facts: ExitFacts): Conclusion {
  const panic = linesWith(facts.console, "Kernel panic");
  if (panic.length > 0) return { cause: "guest-panic", evidence: panic };
  return {
    cause: "guest-ended",
    evidence: [facts.exit.code === 0 ? "exit status 0" : "Firecracker logged a clean exit"],
  };
}

/** Printable characters only: the text goes to terminals and logs. */
function linesWith(text: string, wanted: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.includes(wanted))
    .map(printable)
    .slice(-2);
}

function lastLines(text: string): string[] {
  return text
    .split("\n")
    .map(printable)
    .filter((line) => line !== "")
    .slice(-2);
}

function printable(line: string): string {
  return line.replaceAll(/[^\x20-\x7e]/g, "").slice(0, 300);
}
