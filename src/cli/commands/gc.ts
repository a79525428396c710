import type { Leftover } from "../../lifecycle/leftovers.ts";
import { messageOf } from "../../vm/error.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { toggle } from "../flags.ts";
import { openWarder } from "../open.ts";
import { harmless, paint, printJson, printLine, printNote, printTable, type Terminal, type Tone } from "../terminal.ts";

/** `warder gc`, parsed. */
export interface GcRequest extends CommonRequest {
  /** Only tell. */
  readonly dryRun: boolean;
}

/** What became of a leftover. */
export type GcAction = "removed" | "settled" | "would be removed" | "would be settled" | "still there" | "foreign";

/** One leftover as `gc --json` shows it. */
export interface GcEntry extends Leftover {
  readonly action: GcAction;
}

export const gcCommand = defineCommand({
  flags: { dryRun: toggle("--dry-run", "only tell what would be removed") },
  details:
    "Removes what is left of this state directory's VMs: of starts that were cut off, of VMs that ended while nobody\n" +
    "looked after them, of removals that failed. Every command that opens the state does so too. What lies among the\n" +
    "jails and cgroups and is not known here is listed as foreign, and never touched: it may be another manager's.",
  examples: [
    ["warder gc --dry-run", "What is left, and whose it is"],
    ["warder gc", "Remove it"],
  ],
  parse: ({ flags, common }): GcRequest => ({ ...common, dryRun: flags.dryRun === true }),
  execute: gc,
});

/** Removes leftovers, or tells of them. */
export async function gc(request: GcRequest, terminal: Terminal): Promise<number> {
  await using warder = await openWarder(request, terminal, { reconcile: false });
  const { collectLeftovers, surveyLeftovers } = await import("../../lifecycle/leftovers.ts");
  const before = surveyLeftovers(warder.machinery);
  const failures = request.dryRun ? [] : await collectLeftovers(warder.machinery);
  const after = new Set(surveyLeftovers(warder.machinery).map(({ name }) => name));
  const entries = before.map((each) => ({ ...each, action: actionOn(each, after, request.dryRun) }));
  if (request.json) printJson(terminal, entries);
  else printEntries(terminal, entries);
  for (const { id, error } of failures) printNote(terminal, `warder: ${id}: ${harmless(messageOf(error))}`);
  return failures.length > 0 || entries.some(({ action }) => action === "still there") ? 1 : 0;
}

/** A record stays, with why its VM ended; `warder rm` forgets it. */
function actionOn({ own, kind, name }: Leftover, after: ReadonlySet<string>, dryRun: boolean): GcAction {
  if (!own) return "foreign";
  if (dryRun) return kind === "record" ? "would be settled" : "would be removed";
  if (after.has(name)) return "still there";
  return kind === "record" ? "settled" : "removed";
}

const tones: Readonly<Record<GcAction, Tone>> = {
  removed: "good",
  settled: "good",
  "would be settled": "warn",
  "would be removed": "warn",
  "still there": "bad",
  foreign: "dim",
};

function printEntries(terminal: Terminal, entries: readonly GcEntry[]): void {
  if (entries.length === 0) printLine(terminal, "nothing is left over");
  else {
    const rows = entries.map(({ action, kind, name, why }) => {
      return [paint(terminal.stdout, tones[action], action), kind, harmless(name), why];
    });
    printTable(terminal, ["ACTION", "KIND", "NAME", "WHY"], rows);
  }
}
