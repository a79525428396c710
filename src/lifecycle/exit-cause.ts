import type { OomCounts } from "../cgroup/oom.ts";
import { type LogEvent, parseLogLine, recogniseConsoleLine, recogniseMessage } from "../firecracker/log-line.ts";
import type { ExitCause, VmExit } from "../vm/exit.ts";
import type { ProcessExit } from "../vm/process.ts";
import type { ShutdownMethod } from "../vm/shutdown.ts";
import type { OomKill } from "./kernel-log.ts";

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
  /** The rung that was climbed last, where a manager shut it down. */
  readonly endedBy?: ShutdownMethod;
  /** What the VM's cgroup counted of want of memory. */
  readonly oom?: OomCounts;
  /** What the kernel's log says of the process. */
  readonly oomKill?: OomKill;
  /** The host has been booted since. */
  readonly isBootedSince?: boolean;
  /** It ended while no manager looked after it. */
  readonly isUnseen?: boolean;
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
  const { exit, at, isUnseen } = facts;
  const { cause, evidence } = conclude(facts);
  const unseen = isUnseen === true ? ["it ended while no manager looked after it"] : [];
  return { code: exit.code, signal: exit.signal, at, cause, evidence: [...evidence, ...unseen] };
}

interface Conclusion {
  readonly cause: ExitCause;
  readonly evidence: readonly string[];
}

/** The rules, most certain first: the kernel, then us, then the exit status, then Firecracker's log, then the guest. */
function conclude(facts: ExitFacts): Conclusion {
  const said = outOfMemory(facts) ?? endedByReboot(facts) ?? endedHanging(facts) ?? endedByUs(facts);
  return said ?? whileStopping(facts, endedBySignal(facts) ?? endedByStatus(facts) ?? saidByLog(facts));
}

/** The kernel's log tells whose memory was short; without it, whether the VM's own limit was ever met. */
function outOfMemory({ oom, oomKill, exit }: ExitFacts): Conclusion | undefined {
  if (exit.signal !== "SIGKILL" && !isUnknown(exit)) return undefined;
  const { kills = 0, isLimitMet = false } = oom ?? {};
  if (oomKill === undefined && kills === 0) return undefined;
  const isOwn = oomKill === undefined ? isLimitMet : oomKill.scope === "own";
  const met = isLimitMet ? "was met" : "was not";
  const counted = `the kernel counted ${kills} kill(s) in the VM's cgroup, whose limit ${met}`;
  const evidence = [...(kills > 0 ? [counted] : []), ...(oomKill === undefined ? [] : [oomKill.text])];
  return { cause: isOwn ? "out-of-memory" : "host-out-of-memory", evidence };
}

/** A host that goes down in order ends everything by signals; one that does not leaves no status. */
function endedByReboot({ isBootedSince, exit, endedBy }: ExitFacts): Conclusion | undefined {
  if (isBootedSince !== true) return undefined;
  const isByShutdown = endedBy === undefined && (exit.signal === "SIGTERM" || exit.signal === "SIGKILL");
  if (!isUnknown(exit) && !isByShutdown) return undefined;
  const signal = exit.signal === null ? [] : [`ended by ${exit.signal}, as when a host goes down`];
  return { cause: "host-reboot", evidence: [...signal, "the host has been booted since"] };
}

function endedHanging({ hung, log }: ExitFacts): Conclusion | undefined {
  if (hung !== true) return undefined;
  const evidence = [
    ...linesWith(log, "Vmm is stopping"),
    "Firecracker hung at its end, and was killed by this manager",
  ];
  return { cause: "guest-ended", evidence };
}

/** What a rung does to the process, as far as the exit status tells: an end of another kind was not the rung's. */
function endedByUs({ endedBy, exit }: ExitFacts): Conclusion | undefined {
  if (endedBy === undefined) return undefined;
  const evidence = [`ended by a manager with ${endedBy}`];
  if (isUnknown(exit)) return { cause: endedBy === "ctrl-alt-del" ? "stopped" : "killed", evidence };
  if (exit.code === 0 && endedBy === "ctrl-alt-del") return { cause: "stopped", evidence };
  if (exit.code === 0) return { cause: "stopped", evidence: [`ended by itself, while a manager tried ${endedBy}`] };
  const sent = { "ctrl-alt-del": undefined, sigterm: "SIGTERM", sigkill: "SIGKILL" }[endedBy];
  return exit.signal !== null && exit.signal === sent ? { cause: "killed", evidence } : undefined;
}

/** An end of its own that came in a shutdown's way is told as both. */
function whileStopping({ endedBy }: ExitFacts, { cause, evidence }: Conclusion): Conclusion {
  return {
    cause,
    evidence: endedBy === undefined ? evidence : [...evidence, `a manager was about to end it by ${endedBy}`],
  };
}

function endedBySignal({ exit: { signal }, log }: ExitFacts): Conclusion | undefined {
  if (signal === null) return undefined;
  // Of a filter that kills, as one of a user's own may; Firecracker's own ends by a status.
  if (signal === "SIGSYS") return { cause: "seccomp", evidence: ["ended by SIGSYS"] };
  // Firecracker ends itself so where it panics.
  if (signal === "SIGABRT")
    return { cause: "firecracker-error", evidence: ["ended by SIGABRT, as by a panic", ...linesWith(log, "panicked")] };
  return { cause: "killed-by-stranger", evidence: [`ended by ${signal}, which no manager sent`] };
}

function isUnknown({ code, signal }: ProcessExit): boolean {
  return code === null && signal === null;
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
