import type { Clock } from "../host/host.ts";
import { messageOf } from "../vm/error.ts";
import type { RungOutcome, ShutdownLadder, ShutdownMethod, ShutdownOutcome, ShutdownRung } from "../vm/shutdown.ts";

/** What a ladder acts on. */
export interface ShutdownTarget {
  /** Settles when the process has ended. */
  readonly ended: Promise<unknown>;
  /** Does what the method says; resolves with a reason where it can not be done to this VM, such as now. */
  readonly apply: (method: ShutdownMethod, signal: AbortSignal) => Promise<string | undefined>;
}

/**
 * Climbs a ladder rung by rung until the process has ended. The deadline of a rung covers the request itself too.
 * Giving up (`signal`) leaves the process as it is; ended or not is then the caller's to look at.
 */
export async function shutDown(
  clock: Clock,
  ladder: ShutdownLadder,
  target: ShutdownTarget,
  signal: AbortSignal,
): Promise<ShutdownOutcome> {
  const rungs: RungOutcome[] = [];
  if (await hasEnded(target)) return { endedBy: undefined, rungs };
  for (const rung of ladder) {
    signal.throwIfAborted();
    const outcome = await climb(clock, rung, target, signal);
    rungs.push(outcome);
    if (outcome.result === "ended") return { endedBy: rung.method, rungs };
  }
  return { endedBy: undefined, rungs };
}

async function climb(
  clock: Clock,
  rung: ShutdownRung,
  target: ShutdownTarget,
  signal: AbortSignal,
): Promise<RungOutcome> {
  const began = clock.monotonic();
  const over = new AbortController();
  const within = AbortSignal.any([over.signal, signal]);
  const outcome = (result: RungOutcome["result"], why?: string): RungOutcome => ({
    method: rung.method,
    result,
    afterMs: Math.round(clock.monotonic() - began),
    ...(why === undefined ? {} : { why }),
  });
  const deadline = clock.sleep(rung.timeoutMs, within).then(() => "timed-out" as const);
  const ended = target.ended.then(() => "ended" as const);
  try {
    const applied = target.apply(rung.method, within).then(
      (skipped) => skipped,
      (error: unknown) => ({ failed: messageOf(error) }),
    );
    const first = await Promise.race([ended, deadline, applied]);
    if (first === "ended" || first === "timed-out") return outcome(first);
    if (typeof first === "object") return outcome("failed", first.failed);
    if (typeof first === "string") return outcome("skipped", first);
    return outcome(await Promise.race([ended, deadline]));
  } finally {
    deadline.catch(() => undefined);
    over.abort();
  }
}

/** Whether a promise has settled already. */
async function hasEnded(target: ShutdownTarget): Promise<boolean> {
  const pending = Symbol("pending");
  return (await Promise.race([target.ended, Promise.resolve(pending)])) !== pending;
}
