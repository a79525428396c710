import type { ErrorCode } from "../vm/error-codes.ts";
import type { ExitCause } from "../vm/exit.ts";
import type { IsolationLevel } from "../vm/isolation.ts";

/** What became of a VM that an earlier manager left: see `lifecycle/adopt.ts`. */
export const adoptionResults = Object.freeze(["adopted", "concluded", "removed", "taken-back", "failed"] as const);
export type AdoptionResult = (typeof adoptionResults)[number];

/** Work with a beginning and an end. */
export type Work =
  /** A call on a VM, by its name: `run`, `stop`, `pause` … */
  | { readonly kind: "operation"; readonly name: string; readonly vmId?: string }
  | { readonly kind: "step"; readonly name: string; readonly phase: "run" | "undo"; readonly vmId?: string };

/** Something that happened and that nobody asked for just then. */
export type Happening =
  | { readonly kind: "vm-ended"; readonly cause: ExitCause; readonly isToRestart: boolean }
  /** The isolation of a VM was judged; `gaps` are the names of the controls that are not as asked. */
  | { readonly kind: "isolation-judged"; readonly level: IsolationLevel; readonly gaps: readonly string[] }
  | { readonly kind: "adoption"; readonly result: AdoptionResult }
  /** Something failed that no caller waits for. */
  | { readonly kind: "background-failure"; readonly code: ErrorCode };

/**
 * What the core tells of itself while it works: the one seam for metrics and traces. The core knows nothing of either,
 * and an observer can not change what it does: none of its methods throws anything but what `work` throws.
 */
export interface Observer {
  /** Does `work`, and watches how long it takes and how it ends. What `work` starts is seen as a part of it. */
  watch<T>(what: Work, work: () => T | Promise<T>): T | Promise<T>;
  /** Takes note of something; returns at once. */
  tell(happening: Happening): void;
  /** Does `work` as nobody's part: for what goes on long after the call that began it. */
  detach<T>(work: () => T): T;
}

/** Watches nothing, at the cost of one call. */
export const blindObserver: Observer = Object.freeze({
  watch: <T>(_what: Work, work: () => T | Promise<T>) => work(),
  tell: () => undefined,
  detach: <T>(work: () => T) => work(),
});
