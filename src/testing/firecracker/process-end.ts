/** How a Firecracker process ends: exit codes, signals, and what it leaves in log and metrics. */
import { writeSync } from "node:fs";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** Exit codes. */
export const EXIT = {
  ok: 0,
  generic: 1,
  unexpected: 2,
  badSyscall: 148,
  badConfiguration: 152,
  argumentParsing: 153,
} as const;

/** Signals with a handler, and the code they end with. */
const FATAL_SIGNALS: readonly (readonly [signal: NodeJS.Signals, number: number, code: number, metric?: string])[] = [
  ["SIGHUP", 1, 156, "signals.sighup"],
  ["SIGILL", 4, 157, "signals.sigill"],
  ["SIGBUS", 7, 149, "signals.sigbus"],
  ["SIGSEGV", 11, 150, "signals.sigsegv"],
  ["SIGXCPU", 24, 154, "signals.sigxcpu"],
  ["SIGXFSZ", 25, 151, "signals.sigxfsz"],
  // Sent by hand; one from the seccomp filter ends with 148.
  ["SIGSYS", 31, EXIT.unexpected],
];

/** Signals that end a process by default, and do nothing to the first process of a pid namespace. */
const DEFAULT_SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM"];

/** A failure that ends the process, in both of Rust's forms. */
export class FatalError extends Error {
  override readonly name = "FatalError";
  readonly debug: string;
  readonly code: number;

  constructor(message: string, debug: string, code: number = EXIT.generic) {
    super(message);
    this.debug = debug;
    this.code = code;
  }
}

/** Ends with an error: in the log twice, on standard error in debug form. */
export function endWithError(error: FatalError, log: Log): never {
  log.error(error.message);
  writeSync(2, `Error: ${error.debug}\n`);
  log.error(`Firecracker exiting with error. exit_code=${error.code}`);
  process.exit(error.code);
}

export function endSuccessfully(log: Log): never {
  log.info("Firecracker exiting successfully. exit_code=0");
  process.exit(EXIT.ok);
}

/** What Rust's panics do: a log line with its place in the source, the metrics, SIGABRT. */
export function panic(place: string, message: string, log: Log, metrics: Metrics): never {
  log.error(`Firecracker panicked at ${place}:\n${message}`);
  metrics.count("vmm.panic_count");
  metrics.flush();
  return killSelf("SIGABRT");
}

/** The end that the seccomp filter makes. */
export function endAtBadSyscall(log: Log, metrics: Metrics): never {
  log.error("Shutting down VM after intercepting a bad syscall (0).");
  metrics.count("seccomp.num_faults");
  metrics.flush();
  process.exit(EXIT.badSyscall);
}

export function killSelf(signal: NodeJS.Signals): never {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Not reached with a signal that kills.
  process.exit(EXIT.unexpected);
}

/** Installs the real program's handlers. Before this, signals do what they do to any process. */
export function handleSignals(log: Log, metrics: Metrics): void {
  for (const [signal, number, code, metric] of FATAL_SIGNALS) {
    process.on(signal, () => {
      if (metric !== undefined) metrics.count(metric);
      log.error(`Shutting down VM after intercepting signal ${number}, code 0.`);
      metrics.flush();
      process.exit(code);
    });
  }
  process.on("SIGPIPE", () => {
    metrics.count("signals.sigpipe");
    log.error("Received signal 13, code 0.");
  });
}

/** Gives SIGUSR1 its default meaning back: Node.js would start its debugger. */
export function restoreDefaultSignals(): void {
  process.once("SIGUSR1", () => killSelf("SIGUSR1"));
}

/** Ignores what the first process of a pid namespace ignores. */
export function ignoreDefaultSignals(): void {
  process.removeAllListeners("SIGUSR1");
  for (const signal of DEFAULT_SIGNALS) ignore(signal);
}

export function ignore(signal: NodeJS.Signals): void {
  process.on(signal, () => undefined);
}
