import { type LogEvent, parseLogLine, recogniseConsoleLine, recogniseMessage } from "../firecracker/log-line.ts";
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

/** The rules, most certain first: the kernel, then us, then the exit status, then Firecracker's log, then the guest. */
function conclude(facts: ExitFacts): Conclusion {
  return outOfMemory(facts) ?? endedByUs(facts) ?? endedBySignal(facts) ?? endedByStatus(facts) ?? saidByLog(facts);
}

function outOfMemory({ oomKills = 0, exit }: ExitFacts): Conclusion | undefined {
  if (oomKills === 0 || (exit.signal !== "SIGKILL" && exit.code !== null)) return undefined;
  return { cause: "out-of-memory", evidence: [`the kernel counted ${oomKills} kill(s) in the VM's cgroup`] };
}

function endedByUs({ hung, endedBy, log }: ExitFacts): Conclusion | undefined {
  if (hung === true) {
    const evidence = [
      ...linesWith(log, "Vmm is stopping"),
      "Firecracker hung at its end, and was killed by this manager",
    ];
    return { cause: "guest-ended", evidence };
  }
  if (endedBy === undefined) return undefined;
  const cause = endedBy === "ctrl-alt-del" ? "stopped" : "killed";
  return { cause, evidence: [`ended by a manager with ${endedBy}`] };
}

function endedBySignal({ exit: { signal } }: ExitFacts): Conclusion | undefined {
  if (signal === null) return undefined;
  // Firecracker ends itself so where it panics.
  if (signal === "SIGABRT") return { cause: "firecracker-error", evidence: ["ended by SIGABRT, as by a panic"] };
  return { cause: "killed-by-stranger", evidence: [`ended by ${signal}, which no manager sent`] };
}

function endedByStatus({ exit: { code }, log }: ExitFacts): Conclusion | undefined {
  if (code === null || code === 0) return undefined;
  if (code === SECCOMP_STATUS)
    return { cause: "seccomp", evidence: [`exit status ${code}`, ...linesWith(log, "bad syscall")] };
  const meaning = signalStatuses[code] === undefined ? "" : `: ${signalStatuses[code]}`;
  return { cause: "firecracker-error", evidence: [`exit status ${code}${meaning}`, ...reasons(log)] };
}

/** A clean exit, or one whose status nobody collected: what Firecracker and the guest wrote has to do. */
function saidByLog(facts: ExitFacts): Conclusion {
  const events = eventsOf(facts.log);
  const said = <Kind extends LogEvent["kind"]>(kind: Kind) => events.find((event) => event.kind === kind);
  if (said("bad-syscall") !== undefined) return { cause: "seccomp", evidence: linesWith(facts.log, "bad syscall") };
  if (said("guest-crash") !== undefined)
    return { cause: "guest-crash", evidence: linesWith(facts.log, "KVM_EXIT_SHUTDOWN") };
  if (said("panic") ?? said("vcpu-failure") ?? said("failure")) {
    return { cause: "firecracker-error", evidence: reasons(facts.log) };
  }
  const isClean = facts.exit.code === 0 || said("vm-stopping") !== undefined;
  if (!isClean) return { cause: "unknown", evidence: ["no exit status was collected", ...lastLines(facts.log)] };
  const panic = facts.console.split("\n").find((line) => recogniseConsoleLine(line)?.kind === "kernel-panic");
  if (panic !== undefined) return { cause: "guest-panic", evidence: [printable(panic)] };
  return {
    cause: "guest-ended",
    evidence: [facts.exit.code === 0 ? "exit status 0" : "Firecracker logged that its guest ended"],
  };
}

function eventsOf(log: string): LogEvent[] {
  return log
    .split("\n")
    .map((line) => recogniseMessage(parseLogLine(line)?.message ?? ""))
    .filter((event) => event !== undefined);
}

/** The lines that say why a process ended, else the last ones. */
function reasons(log: string): string[] {
  const telling = log.split("\n").filter((line) => {
    const kind = recogniseMessage(parseLogLine(line)?.message ?? "")?.kind;
    return kind === "panic" || kind === "vcpu-failure" || kind === "failure" || kind === "signal";
  });
  return telling.length > 0 ? telling.slice(-2).map(printable) : lastLines(log);
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
