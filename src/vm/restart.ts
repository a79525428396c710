import type { ExitCause } from "./exit.ts";

/** When a VM that has ended is started again, as the same VM. Ending it with `stop` or `kill` always ends it for good. */
export interface RestartPolicy {
  /**
   * - `never`: not at all.
   * - `on-failure`: where its end was a failure (see {@link isFailure}).
   * - `always`: however it ended; a guest that reboots is started again.
   */
  readonly policy: "never" | "on-failure" | "always";
  /** Most restarts in a row. Absent: any number. */
  readonly maxRetries?: number;
  /** Milliseconds before the first restart in a row; doubled with each further one. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** A run of so many milliseconds was stable: the row of restarts ends with it, and the next one waits the least again. */
  readonly resetAfterMs: number;
}

/**
 * What holds where a caller says nothing: no restarts; else 1 s doubled up to 1 min, five times at most after failures,
 * and a row ends after 5 min, which is longer than all five waits together.
 */
export const defaultRestart: RestartPolicy = Object.freeze({
  policy: "never",
  backoffMs: 1_000,
  maxBackoffMs: 60_000,
  resetAfterMs: 300_000,
});

/** The ceiling of `on-failure` where a caller names none; `always` has none. */
export const DEFAULT_MAX_RETRIES = 5;

/** Where a VM stands in a row of restarts. */
export interface RestartProgress {
  /** Restarts in a row so far. */
  readonly retries: number;
  /** When the next one is due, in milliseconds since 1970; there while it is waited for. */
  readonly nextAt?: number;
}

/** Each cause, and whether it is a failure: an end that neither the guest nor a caller asked for. */
const failures: Readonly<Record<ExitCause, boolean>> = {
  "guest-ended": false,
  stopped: false,
  killed: false,
  "guest-panic": true,
  "guest-crash": true,
  "killed-by-stranger": true,
  "firecracker-error": true,
  seccomp: true,
  "out-of-memory": true,
  "host-out-of-memory": true,
  "start-failed": true,
  "host-reboot": true,
  unknown: true,
};

/** Whether an end is one that `on-failure` restarts after. */
export function isFailure(cause: ExitCause): boolean {
  return failures[cause];
}

/** What a decision on a restart is made from. */
export interface EndedRun {
  readonly cause: ExitCause;
  /** Restarts in a row before this run. */
  readonly retries: number;
  /** How long it ran; 0 where it never came to. */
  readonly ranMs: number;
}

/** Whether there is a restart, and when; or why there is none, as a clause. */
export type RestartDecision =
  | { readonly verdict: "restart"; readonly retries: number; readonly delayMs: number }
  | { readonly verdict: "end"; readonly why: string };

/**
 * What follows a VM's end. Pure.
 *
 * @param random - From 0 to 1: half of each wait is left to chance, so that VMs that fell together do not rise together.
 */
export function decideRestart(policy: RestartPolicy, run: EndedRun, random: number): RestartDecision {
  if (run.cause === "stopped" || run.cause === "killed") return { verdict: "end", why: "it was ended by request" };
  if (policy.policy === "never") return { verdict: "end", why: "its restart policy is never" };
  if (policy.policy === "on-failure" && !isFailure(run.cause)) {
    return { verdict: "end", why: `${run.cause} is no failure` };
  }
  const before = run.ranMs >= policy.resetAfterMs ? 0 : run.retries;
  if (policy.maxRetries !== undefined && before >= policy.maxRetries) {
    return { verdict: "end", why: `it was restarted ${before} times in a row, which is the most` };
  }
  return { verdict: "restart", retries: before + 1, delayMs: backoffOf(policy, before, random) };
}

function backoffOf({ backoffMs, maxBackoffMs }: RestartPolicy, before: number, random: number): number {
  const whole = Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(before, 52));
  return Math.round(whole * (1 - random / 2));
}
