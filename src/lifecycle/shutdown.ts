import type { Clock } from "../host/host.ts";
import { messageOf } from "../vm/error.ts";
import type { RungOutcome, ShutdownLadder, ShutdownMethod, ShutdownOutcome, ShutdownRung } from "../vm/shutdown.ts";

/** How the climbing of a ladder is given up, or cut short. */
export interface ShutdownOptions {
  /** Leaves the process as it is; ended or not is then the caller's to look at. */
  readonly signal: AbortSignal;
  /** Goes on to the last rung at once: somebody is out of patience. */
  readonly cut?: AbortSignal;
}

/** What a ladder acts on. */
export interface ShutdownTarget {
  /** Settles when the process has ended. */
  readonly ended: Promise<unknown>;
  /** Does what the method says; resolves with a reason where it can not be done to this VM, such as now. */
  readonly apply: (method: ShutdownMethod, signal: AbortSignal) => Promise<string | undefined>;
}

/** Climbs a ladder rung by rung until the process has ended. The deadline of a rung covers the request itself too. */
export async function shutDown(
  clock: Clock,
  ladder: ShutdownLadder,
  target: ShutdownTarget,
  { signal, cut }: ShutdownOptions,
): Promise<ShutdownOutcome> {
  const rungs: RungOutcome[] = [];
  if (await hasEnded(target)) return { endedBy: undefined, rungs };
  for (const [index, rung] of ladder.entries()) {
    signal.throwIfAborted();
    const isLast = index === ladder.length - 1;
    if (!isLast && cut?.aborted === true) continue;
    const outcome = await climb(clock, rung, target, isLast || cut === undefined ? { signal } : { signal, cut });
    rungs.push(outcome);
    if (outcome.result === "ended") return { endedBy: rung.method, rungs };
  }
  return { endedBy: undefined, rungs };
}

async function climb(
  clock: Clock,
  rung: ShutdownRung,
  target: ShutdownTarget,
  { signal, cut }: ShutdownOptions,
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
  const isCut = Promise.withResolvers<RungOutcome>();
  const onCut = () => isCut.resolve(outcome("failed", "it was cut short by a kill"));
  cut?.addEventListener("abort", onCut, { once: true });
  const late = clock.sleep(rung.timeoutMs, within).then(() => outcome("timed-out"));
  const deadline = Promise.race([late, isCut.promise]);
  const ended = target.ended.then(() => outcome("ended"));
  try {
    const applied = target.apply(rung.method, within).then(
      (why) => (why === undefined ? undefined : outcome("skipped", why)),
      (error: unknown) => outcome("failed", messageOf(error)),
    );
    return (await Promise.race([ended, deadline, applied])) ?? (await Promise.race([ended, deadline]));
  } finally {
    cut?.removeEventListener("abort", onCut);
    deadline.catch(() => undefined);
    over.abort();
  }
}

/** Whether a promise has settled already. */
async function hasEnded(target: ShutdownTarget): Promise<boolean> {
  const pending = Symbol("pending");
  return (await Promise.race([target.ended, Promise.resolve(pending)])) !== pending;
}
