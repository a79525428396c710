/** A way to ask a VM to end, from the gentlest to the last. */
export type ShutdownMethod = "ctrl-alt-del" | "sigterm" | "sigkill";

/** One rung: the method, and how long to wait for the process to end before the next one. */
export interface ShutdownRung {
  readonly method: ShutdownMethod;
  readonly timeoutMs: number;
}

/** Rungs in the order in which they are tried. The last is always `sigkill`. */
export type ShutdownLadder = readonly ShutdownRung[];

/** What became of one rung. */
export interface RungOutcome {
  readonly method: ShutdownMethod;
  readonly result: "ended" | "timed-out" | "failed" | "skipped";
  readonly afterMs: number;
  /** Why it failed or was skipped. */
  readonly why?: string;
}

/** What a shutdown came to: which rung worked, and what the rungs before it did. */
export interface ShutdownOutcome {
  /** `undefined`: the process had ended before the first rung. */
  readonly endedBy: ShutdownMethod | undefined;
  readonly rungs: readonly RungOutcome[];
}

/** Five seconds for the guest, five for Firecracker's death by SIGTERM, then SIGKILL. */
export const defaultShutdownLadder: ShutdownLadder = Object.freeze([
  { method: "ctrl-alt-del", timeoutMs: 5_000 },
  { method: "sigterm", timeoutMs: 5_000 },
  { method: "sigkill", timeoutMs: 10_000 },
]);

/** Only SIGKILL: what `warder kill` does. */
export const killLadder: ShutdownLadder = Object.freeze([{ method: "sigkill", timeoutMs: 10_000 }]);
