/** What a step comes to. */
export type StepKind = "create" | "replace" | "remove" | "run" | "unchanged" | "keep" | "skip";

/** One step of installing or removing the service. */
export interface Step {
  readonly kind: StepKind;
  /** A path or a command line. */
  readonly what: string;
  /** Why, where that is not plain. */
  readonly why?: string;
  /** Absent where nothing is to be done. */
  readonly apply?: (signal: AbortSignal) => void | Promise<void>;
}

/** Does what is to be done, in order. */
export async function applySteps(steps: readonly Step[], signal: AbortSignal): Promise<void> {
  for (const { apply } of steps) {
    signal.throwIfAborted();
    await apply?.(signal);
  }
}
