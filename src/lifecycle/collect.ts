import { messageOf } from "../vm/error.ts";
import { collectLeftovers, type Leftover, surveyLeftovers } from "./leftovers.ts";
import type { Machinery } from "./machinery.ts";

/** What became of a leftover. */
export type LeftoverAction =
  | "removed"
  | "settled"
  | "would be removed"
  | "would be settled"
  | "still there"
  | "foreign";

/** A leftover, and what became of it. */
export interface CollectedLeftover extends Leftover {
  readonly action: LeftoverAction;
}

/** What was left, and what could not be removed. */
export interface Collection {
  readonly leftovers: readonly CollectedLeftover[];
  /** One text each, with the VM's id or the path before it. */
  readonly failures: readonly string[];
}

/** Removes what VMs and managers that died have left, or only tells of it. */
export async function collectGarbage(
  machinery: Machinery,
  { isDryRun }: { readonly isDryRun: boolean },
): Promise<Collection> {
  const before = surveyLeftovers(machinery);
  const failures = isDryRun ? [] : await collectLeftovers(machinery);
  const after = new Set(surveyLeftovers(machinery).map(({ name }) => name));
  return {
    leftovers: before.map((each) => ({ ...each, action: actionOn(each, after, isDryRun) })),
    failures: failures.map(({ id, error }) => `${id}: ${messageOf(error)}`),
  };
}

/** A record stays, with why its VM ended; it is forgotten by whoever removes the VM. */
function actionOn({ own, kind, name }: Leftover, after: ReadonlySet<string>, isDryRun: boolean): LeftoverAction {
  if (!own) return "foreign";
  if (isDryRun) return kind === "record" ? "would be settled" : "would be removed";
  if (after.has(name)) return "still there";
  return kind === "record" ? "settled" : "removed";
}
