/** One line of Firecracker's log. */
export interface LogLine {
  /** As written, in UTC with nanoseconds: `2026-11-22T12:26:06.784360522`. */
  readonly time: string;
  /** The VM's id; `anonymous-instance` without one. */
  readonly instance: string;
  /** `main`, `fc_api` or `fc_vcpu <n>`. */
  readonly thread: string;
  /** Only with `--show-level`. */
  readonly level?: "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE";
  /** Source file and line, only with `--show-log-origin`. */
  readonly origin?: string;
  readonly message: string;
}

/** Longest part of a line that is looked at, in characters. A line may repeat a whole request. */
export const LOG_LINE_LIMIT = 4096;

const grammar =
  /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?) \[([^:[\]]*):([^:[\]]*)(?::(ERROR|WARN|INFO|DEBUG|TRACE))?(?::([^\]]*))?\] (.*)$/s;

/**
 * Parses one line of the log, without its newline. Total and bounded: a line that is not one (the second line of a
 * panic, or what the guest printed where both go to one file) is `undefined`.
 */
export function parseLogLine(line: string): LogLine | undefined {
  const match = grammar.exec(line.slice(0, LOG_LINE_LIMIT));
  if (match === null) return undefined;
  const [, time = "", instance = "", thread = "", level, origin, message = ""] = match;
  return {
    time,
    instance,
    thread,
    ...(level === undefined ? {} : { level: level as NonNullable<LogLine["level"]> }),
    ...(origin === undefined ? {} : { origin }),
    message,
  };
}

/** What a message of the log says about a VM's life. Everything else in the log says nothing about it. */
export type LogEvent =
  | { readonly kind: "program-started"; readonly version: string }
  /** The VM of the configuration file runs. */
  | { readonly kind: "vm-started" }
  /** The guest reset itself, or Firecracker gave it up. Logged twice. */
  | { readonly kind: "vm-stopping" }
  | { readonly kind: "program-ended"; readonly status: number }
  /** The seccomp filter stopped a system call. The process ends with status 148. */
  | { readonly kind: "bad-syscall"; readonly number: number }
  /** `fatal`: the process ends by it. SIGPIPE is only counted. */
  | { readonly kind: "signal"; readonly number: number; readonly fatal: boolean }
  /** A defect of Firecracker, or of what it was given. The process ends by SIGABRT. */
  | { readonly kind: "panic"; readonly text: string }
  /** The guest's CPU gave up (a triple fault on x86-64). The process then ends with status 0, as after a reset. */
  | { readonly kind: "guest-crash"; readonly text: string }
  /** KVM could not run the guest's CPU. The process ends with status 1. */
  | { readonly kind: "vcpu-failure"; readonly text: string }
  /** Why the process is about to end with a status other than 0. */
  | { readonly kind: "failure"; readonly text: string };

type Recogniser = readonly [RegExp, (groups: readonly string[]) => LogEvent];

/** Texts of 1.12.1, from runs that end so and, where none could be made to, from the strings of the program. */
const recognisers: readonly Recogniser[] = [
  [/^Running Firecracker v(\S{1,64})/, ([version = ""]) => ({ kind: "program-started", version })],
  [/^Successfully started microvm\b/, () => ({ kind: "vm-started" })],
  [/^Vmm is stopping\./, () => ({ kind: "vm-stopping" })],
  [
    /^Firecracker exiting (?:successfully|with error)\. exit_code=(\d{1,3})/,
    ([status]) => ({ kind: "program-ended", status: Number(status) }),
  ],
  [
    /^Shutting down VM after intercepting a bad syscall \((\d{1,9})\)/,
    ([number]) => ({ kind: "bad-syscall", number: Number(number) }),
  ],
  [
    /^Shutting down VM after intercepting signal (\d{1,3})/,
    ([number]) => ({ kind: "signal", number: Number(number), fatal: true }),
  ],
  [/^Received signal (\d{1,3})/, ([number]) => ({ kind: "signal", number: Number(number), fatal: false })],
  [/^Firecracker panicked at (.*)/s, ([text = ""]) => ({ kind: "panic", text })],
  [/^(Received KVM_EXIT_SHUTDOWN signal)/, ([text = ""]) => ({ kind: "guest-crash", text })],
  [
    /^(Received (?:KVM_EXIT_FAIL_ENTRY|KVM_EXIT_INTERNAL_ERROR|ENOSYS error because KVM failed).*|Failure during vcpu run: .*)/s,
    ([text = ""]) => ({ kind: "vcpu-failure", text }),
  ],
  [/^((?:RunWithApiError|RunWithoutApiError) error: .*)/s, ([text = ""]) => ({ kind: "failure", text })],
  [
    /^((?:Could not initialize (?:logger|metrics)|Arguments parsing error|Invalid value for logger level|Seccomp error): .*)/s,
    ([text = ""]) => ({ kind: "failure", text }),
  ],
];

/** Recognises a message of the log. Total. */
export function recogniseMessage(message: string): LogEvent | undefined {
  const bounded = message.slice(0, LOG_LINE_LIMIT);
  for (const [pattern, toEvent] of recognisers) {
    const match = pattern.exec(bounded);
    if (match !== null) return toEvent(match.slice(1));
  }
  return undefined;
}

/** What a line of the guest's console says about its end. The guest writes it: evidence, never proof. */
export type ConsoleEvent =
  | { readonly kind: "kernel-panic"; readonly reason: string }
  /** Linux has halted or powered off; on x86-64 Firecracker runs on all the same. */
  | { readonly kind: "powered-off" };

/** Recognises a line of a Linux guest's console, with or without the time before it. Total and bounded. */
export function recogniseConsoleLine(line: string): ConsoleEvent | undefined {
  const bounded = line.slice(0, LOG_LINE_LIMIT);
  const panic = /Kernel panic - not syncing: ([\x20-\x7e]{0,300})/.exec(bounded);
  if (panic !== null) return { kind: "kernel-panic", reason: panic[1] ?? "" };
  if (/reboot: (?:System halted|Power down)/.test(bounded)) return { kind: "powered-off" };
  return undefined;
}
