import type { Clock } from "../host/host.ts";
import { blindObserver, type Observer } from "../observability/observer.ts";

/**
 * One step of making something. `run` may be repeated; `undo` takes back whatever `run` did, also where it failed half
 * way, and may be repeated too.
 */
export interface Step<Context> {
  readonly name: string;
  run(context: Context, signal: AbortSignal): Promise<void> | void;
  /** @param left - Why undos before this one, of later steps, could not take everything back. */
  undo?(context: Context, left: readonly unknown[]): Promise<void> | void;
  /**
   * As long as this can not be taken back, what the steps before it have made may be in use, and is left as it is: a
   * jail is not removed under a process that lives. Default: false.
   */
  readonly holdsEarlier?: boolean;
  /** Its undo lets go, or writes down what is left: it is not passed over, whatever is held. Default: false. */
  readonly undoAlways?: boolean;
}

/** What the engine tells of a run. */
export interface StepEvent {
  readonly step: string;
  readonly phase: "run" | "undo";
  readonly durationMs: number;
  readonly error?: unknown;
}

/** What {@link runSteps} works with. */
export interface EngineOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called after every step and every undo, with how long it took. */
  readonly onStep?: (event: StepEvent) => void;
  /** Watches every step and every undo: for logs, metrics and traces. Default: nobody does. */
  readonly observer?: Observer;
  /** Whom the steps are for, as the observer is told. */
  readonly vmId?: string;
}

/** A step failed; those before it, and what it did itself, have been taken back. */
export class StepsFailed extends Error {
  readonly step: string;
  /** What could not be taken back. */
  readonly cleanup: readonly unknown[];
  constructor(step: string, cause: unknown, cleanup: readonly unknown[]) {
    super(`step ${step} failed`, { cause });
    this.step = step;
    this.cleanup = cleanup;
  }
}

/**
 * Runs steps one after the other. When one fails, or the signal fires, everything is taken back in reverse order, each
 * undo tried whatever became of the others, but for what is still in use ({@link Step.holdsEarlier}).
 *
 * @throws {@link StepsFailed}
 */
export async function runSteps<Context>(
  steps: readonly Step<Context>[],
  context: Context,
  options: EngineOptions,
): Promise<void> {
  const begun: Step<Context>[] = [];
  for (const step of steps) {
    begun.push(step);
    try {
      options.signal.throwIfAborted();
      await timed(step, "run", options, () => step.run(context, options.signal));
    } catch (error) {
      throw new StepsFailed(step.name, error, await undoSteps(begun, context, options));
    }
  }
}

/** Takes steps back in reverse order; returns what failed. Ignores the signal: a clean-up is not given up half way. */
export async function undoSteps<Context>(
  steps: readonly Step<Context>[],
  context: Context,
  options: EngineOptions,
): Promise<unknown[]> {
  const failures: unknown[] = [];
  let isHeld = false;
  for (const step of steps.toReversed()) {
    if (step.undo === undefined || (isHeld && step.undoAlways !== true)) continue;
    try {
      await timed(step, "undo", options, () => step.undo?.(context, failures));
    } catch (error) {
      failures.push(error);
      isHeld ||= step.holdsEarlier === true;
    }
  }
  return failures;
}

async function timed<Context>(
  step: Step<Context>,
  phase: StepEvent["phase"],
  options: EngineOptions,
  work: () => Promise<void> | void,
): Promise<void> {
  const began = options.clock.monotonic();
  const report = (error?: unknown) =>
    options.onStep?.({
      step: step.name,
      phase,
      durationMs: options.clock.monotonic() - began,
      ...(error === undefined ? {} : { error }),
    });
  const { observer = blindObserver, vmId } = options;
  try {
    await observer.watch({ kind: "step", name: step.name, phase, ...(vmId === undefined ? {} : { vmId }) }, work);
    report();
  } catch (error) {
    report(error);
    throw error;
  }
}
