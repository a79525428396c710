import type { VmChange } from "../../vm/change.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { statusOf } from "../explain.ts";
import { whole } from "../flag-parsers.ts";
import { value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import { openManager } from "../manager/open.ts";
import { harmless, printJson, printLine, type Terminal } from "../terminal.ts";

/** `warder watch`, parsed. */
export interface WatchRequest extends CommonRequest {
  /** None: all VMs. */
  readonly id?: string;
  readonly since?: number;
}

export const watchCommand = defineCommand({
  operands: { name: "ID", count: "at most one", help: "a VM; all of them where none is named" },
  flags: {
    since: value("--since <n>", whole, "begin after this change; 0 for all that are kept (default: from now on)"),
  },
  details:
    "Each change of a VM's state, as it comes, whoever makes it: its number, time, VM, run, and the states before and\n" +
    "after. Whoever begins again after the last number that was seen misses nothing. The newest 10,000 are kept; with an\n" +
    "older --since it is said that changes are `gone`: list the VMs then, and watch from now on.",
  examples: [
    ["warder watch", "What happens from now on"],
    ["warder watch vm-1 --since 0", "The whole life of a VM"],
    ["warder watch --json | jq -r 'select(.state == \"failed\") | .reason'", "For a program"],
  ],
  parse: ({ flags, operands, common }): WatchRequest => ({
    ...common,
    ...(operands[0] === undefined ? {} : { id: operands[0] }),
    ...(flags.since === undefined ? {} : { since: flags.since }),
  }),
  execute: watch,
});

/** Prints changes until it is told to stop. */
export async function watch(
  { id, since, ...request }: WatchRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  await using manager = await openManager(request, terminal);
  const what = { signal, ...(id === undefined ? {} : { id }), ...(since === undefined ? {} : { since }) };
  try {
    for await (const change of manager.watch(what)) {
      if (request.json) printJson(terminal, change);
      else printLine(terminal, formatChange(change));
      await terminal.stdout.ready(signal);
    }
    return 0;
  } catch (error) {
    // Ctrl-C is how one stops looking: nothing failed.
    if (signal.aborted) return statusOf(signal.reason);
    throw error;
  }
}

function formatChange({ sequence, at, id, incarnation, previous, state, reason }: VmChange): string {
  const why = reason === undefined ? "" : ` (${harmless(reason)})`;
  return `${sequence}  ${new Date(at).toISOString()}  ${id}  run ${incarnation}  ${previous ?? "-"} -> ${state}${why}`;
}
