import { messageOf } from "../vm/error.ts";
import type { Candidate } from "./foreign/candidates.ts";
import { removeForeign } from "./foreign/remove.ts";
import { collectLeftovers, findForeign, type Leftover, ownLeftovers, surveyLeftovers } from "./leftovers.ts";
import type { Machinery } from "./machinery.ts";

/** What became of a leftover. */
export type LeftoverAction =
  | "removed"
  | "settled"
  | "would be removed"
  | "would be settled"
  | "still there"
  | "foreign"
  | "in use";

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

/** What is to be collected. */
export interface CollectOptions {
  /** Only tell. */
  readonly isDryRun: boolean;
  /** What looks like another manager's too, unless something uses it. Default false: it is only listed. */
  readonly isForeign?: boolean;
  /** Told, before it is removed, what of other managers will be. */
  readonly beforeForeign?: (names: readonly string[]) => void;
}

/** Removes what VMs and managers that died have left, or only tells of it. What is another manager's and in use stays. */
export async function collectGarbage(machinery: Machinery, options: CollectOptions): Promise<Collection> {
  const before = await surveyLeftovers(machinery);
  const failures = options.isDryRun ? [] : await collect(machinery, before, options);
  const after = new Set(options.isDryRun ? [] : ownLeftovers(machinery).map(({ name }) => name));
  const isLeft = ({ own, name }: Leftover) =>
    own ? after.has(name) : machinery.host.files.inspect(name) !== undefined;
  return { leftovers: before.map((each) => ({ ...each, action: actionOn(each, isLeft, options) })), failures };
}

async function collect(machinery: Machinery, before: readonly Leftover[], options: CollectOptions): Promise<string[]> {
  const own = await collectLeftovers(machinery);
  const foreign = options.isForeign === true ? await collectForeign(machinery, before, options) : [];
  return [...own.map(({ id, error }) => `${id}: ${messageOf(error)}`), ...foreign];
}

/** Only what was found unused, and is not known even now. */
async function collectForeign(
  machinery: Machinery,
  before: readonly Leftover[],
  { beforeForeign }: CollectOptions,
): Promise<string[]> {
  const unused = new Set(before.filter(({ own, usedBy }) => !own && usedBy === undefined).map(({ name }) => name));
  const candidates: Candidate[] = findForeign(machinery).filter(({ path }) => unused.has(path));
  beforeForeign?.(candidates.map(({ path }) => path));
  const failures = await removeForeign(machinery.host, candidates);
  return failures.map(({ candidate, error }) => `${candidate.path}: ${messageOf(error)}`);
}

/** A record stays, with why its VM ended; it is forgotten by whoever removes the VM. */
function actionOn(
  leftover: Leftover,
  isLeft: (leftover: Leftover) => boolean,
  { isDryRun, isForeign = false }: CollectOptions,
): LeftoverAction {
  const { own, kind, usedBy } = leftover;
  if (usedBy !== undefined) return "in use";
  if (!own && !isForeign) return "foreign";
  if (isDryRun) return kind === "record" ? "would be settled" : "would be removed";
  if (isLeft(leftover)) return "still there";
  return kind === "record" ? "settled" : "removed";
}
