import type { VmView } from "../../vm/view.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { toggle } from "../flags.ts";
import { formatDuration, formatExit, formatMib } from "../format.ts";
import { openManager } from "../manager/open.ts";
import { toneOf } from "../proof-table.ts";
import { paint, printJson, printLine, printTable, type Terminal } from "../terminal.ts";

/** `warder ps`, parsed. */
export interface PsRequest extends CommonRequest {
  /** VMs that have ended too. */
  readonly all: boolean;
  /** Ids only. */
  readonly quiet: boolean;
}

export const psCommand = defineCommand({
  flags: {
    all: toggle("-a, --all", "VMs that have ended too, with why they did"),
    quiet: toggle("-q, --quiet", "ids only"),
  },
  examples: [
    ["warder ps", "What runs"],
    ["warder ps -a", "And what has ended, and why"],
    ["warder stop $(warder ps -q)", "Stop everything"],
    [`warder ps --json | jq '.[] | select(.isolation.level != "proven").id'`, "VMs that are not proven"],
  ],
  parse: ({ flags, common }): PsRequest => ({ ...common, all: flags.all === true, quiet: flags.quiet === true }),
  execute: ps,
});

/** Lists VMs. */
export async function ps(request: PsRequest, terminal: Terminal): Promise<number> {
  await using manager = await openManager(request, terminal);
  const views = await manager.list({ all: request.all });
  const now = Date.now();
  if (request.json)
    printJson(terminal, request.quiet ? views.map(({ id }) => id) : views.map((each) => toEntry(each, now)));
  else if (request.quiet) for (const { id } of views) printLine(terminal, id);
  else printViews(terminal, views, now, request.all);
  return 0;
}

/** One VM as `ps --json` shows it: what stands in the table, in full. `inspect` has the rest. */
function toEntry(view: VmView, now: number): Record<string, unknown> {
  const { id, state, pid, jailed, isolation, vcpus, memoryMib, createdAt, exit } = view;
  return {
    id,
    state,
    pid,
    jailed,
    isolation: isolation === null ? null : { level: isolation.level, gaps: isolation.gaps },
    vcpus,
    memoryMib,
    createdAt,
    uptimeMs: uptimeOf(view, now),
    ...(exit === undefined ? {} : { exit }),
  };
}

function printViews(terminal: Terminal, views: readonly VmView[], now: number, all: boolean): void {
  const rows = views.map((view) => {
    const { id, state, pid, isolation, vcpus, memoryMib, exit } = view;
    const level = isolation === null ? "-" : paint(terminal.stdout, toneOf(isolation.level), isolation.level);
    const uptime = formatDuration(uptimeOf(view, now));
    const cells = [id, state, pid === null ? "-" : String(pid), level, String(vcpus), formatMib(memoryMib), uptime];
    return all ? [...cells, exit === undefined ? "-" : formatExit(exit)] : cells;
  });
  const heading = ["ID", "STATE", "PID", "ISOLATION", "VCPUS", "MEMORY", "UPTIME"];
  printTable(terminal, all ? [...heading, "EXIT"] : heading, rows);
}

/** Of the run that the VM is in, or had last: until now, or until it ended. */
function uptimeOf({ startedAt, exit, state }: VmView, now: number): number {
  if (startedAt === undefined || state === "restarting") return 0;
  return Math.max(0, (exit?.at ?? now) - Date.parse(startedAt));
}
