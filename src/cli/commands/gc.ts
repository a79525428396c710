import type { CollectedLeftover, LeftoverAction } from "../../lifecycle/collect.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { toggle } from "../flags.ts";
import { openManager } from "../manager/open.ts";
import { harmless, paint, printJson, printLine, printNote, printTable, type Terminal, type Tone } from "../terminal.ts";

/** `warder gc`, parsed. */
export interface GcRequest extends CommonRequest {
  /** Only tell. */
  readonly dryRun: boolean;
  /** What looks like another manager's too. */
  readonly foreign: boolean;
}

export const gcCommand = defineCommand({
  flags: {
    dryRun: toggle("--dry-run", "only tell what would be removed"),
    foreign: toggle("--foreign", "remove also what looks like another manager's, and nothing uses"),
  },
  details:
    "Removes what is left of this state directory's VMs: of starts that were cut off, of VMs that ended while nobody\n" +
    "looked after them, of removals that failed. Every command that opens the state does so too.\n" +
    "\n" +
    "What looks like a VM's and is not known here is another manager's: jails below this directory of jails and below\n" +
    "/srv/jailer, cgroups of the parents that jailers use, network namespaces fc-*, interfaces fc-*, tap* and veth*.\n" +
    "It is listed as foreign, unless a process uses it, or it is not a minute old. With --foreign it is named and then\n" +
    "removed; what is used by then stays.",
  examples: [
    ["warder gc --dry-run", "What is left, and whose it is"],
    ["warder gc", "Remove what is this state directory's own"],
    ["warder gc --foreign --dry-run", "What else could be removed, and what is in use and by whom"],
    ["warder gc --foreign", "Remove it"],
  ],
  parse: ({ flags, common }): GcRequest => ({
    ...common,
    dryRun: flags.dryRun === true,
    foreign: flags.foreign === true,
  }),
  execute: gc,
});

/** Removes leftovers, or tells of them. */
export async function gc(request: GcRequest, terminal: Terminal): Promise<number> {
  await using manager = await openManager(request, terminal, { reconcile: false });
  const { leftovers, failures } = await manager.collectGarbage({
    isDryRun: request.dryRun,
    isForeign: request.foreign,
    beforeForeign: (names) => {
      for (const name of names) printNote(terminal, `warder: removing ${harmless(name)}, which is not this state's`);
    },
  });
  // What other managers use is nobody's leftover.
  const shown = leftovers.filter(({ action }) => request.foreign || action !== "in use");
  if (request.json) printJson(terminal, shown);
  else printEntries(terminal, shown);
  for (const failure of failures) printNote(terminal, `warder: ${harmless(failure)}`);
  return failures.length > 0 || shown.some(({ action }) => action === "still there") ? 1 : 0;
}

const tones: Readonly<Record<LeftoverAction, Tone>> = {
  removed: "good",
  settled: "good",
  "would be settled": "warn",
  "would be removed": "warn",
  "still there": "bad",
  foreign: "dim",
  "in use": "dim",
};

function printEntries(terminal: Terminal, entries: readonly CollectedLeftover[]): void {
  if (entries.length === 0) printLine(terminal, "nothing is left over");
  else {
    const rows = entries.map(({ action, kind, name, why, usedBy }) => {
      const reason = usedBy === undefined ? why : `it is used by ${usedBy}`;
      return [paint(terminal.stdout, tones[action], action), kind, harmless(name), harmless(reason)];
    });
    printTable(terminal, ["ACTION", "KIND", "NAME", "WHY"], rows);
  }
}
