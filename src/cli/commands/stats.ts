import type { VmUsage } from "../../lifecycle/usage.ts";
import { isWarderError } from "../../vm/error.ts";
import type { VmView } from "../../vm/view.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { formatBytes, formatDuration } from "../format.ts";
import type { ManagedVm, Manager } from "../manager/manager.ts";
import { openManager } from "../manager/open.ts";
import { printJson, printTable, type Terminal } from "../terminal.ts";

/** `warder stats`, parsed. */
export interface StatsRequest extends CommonRequest {
  /** None: all VMs that run. */
  readonly ids: readonly string[];
}

/** One VM as `stats --json` shows it. */
export interface StatsEntry {
  readonly id: string;
  readonly state: string;
  readonly limits: VmView["limits"];
  readonly usage: VmUsage;
}

export const statsCommand = defineCommand({
  operands: { name: "ID", count: "any number", help: "VMs; all that run where none is named" },
  flags: {},
  details: "Read from the VM's own cgroups: guest memory, Firecracker and page cache together.",
  examples: [
    ["warder stats", "What all VMs use"],
    ["watch warder stats", "Again and again"],
    ["warder stats vm-1 --json | jq '.[0].usage.memoryBytes'", "One figure"],
  ],
  parse: ({ operands, common }): StatsRequest => ({ ...common, ids: operands }),
  execute: stats,
});

/** Shows what VMs use. */
export async function stats(request: StatsRequest, terminal: Terminal): Promise<number> {
  await using manager = await openManager(request, terminal);
  const entries = await (request.ids.length === 0
    ? measureAll(manager)
    : Promise.all(request.ids.map((id) => measure(manager.get(id)))));
  if (request.json) printJson(terminal, entries);
  else printTable(terminal, heading, entries.map(toRow));
  return 0;
}

async function measure(vm: ManagedVm): Promise<StatsEntry> {
  const [{ id, state, limits }, usage] = await Promise.all([vm.inspect(), vm.usage()]);
  return { id, state, limits, usage };
}

/** What is removed meanwhile is left out: nobody asked for it. */
async function measureAll(manager: Manager): Promise<StatsEntry[]> {
  const views = await manager.list({ all: false });
  const entries = await Promise.all(
    views.map(async ({ id }) => {
      try {
        return [await measure(manager.get(id))];
      } catch (error) {
        if (isWarderError(error) && error.code === "vm-not-found") return [];
        throw error;
      }
    }),
  );
  return entries.flat();
}

const heading = ["ID", "CPU TIME", "THROTTLED", "MEMORY", "LIMIT", "PEAK", "THREADS", "READ", "WRITTEN", "OOM KILLS"];

function toRow({ id, limits, usage }: StatsEntry): string[] {
  const duration = (microseconds: number | undefined) =>
    microseconds === undefined ? "-" : formatDuration(microseconds / 1000);
  const bytes = (value: number | undefined) => (value === undefined ? "-" : formatBytes(value));
  return [
    id,
    duration(usage.cpuMicroseconds),
    duration(usage.throttledMicroseconds),
    bytes(usage.memoryBytes),
    bytes(limits.memoryBytes),
    bytes(usage.memoryPeakBytes),
    String(usage.pids ?? "-"),
    bytes(usage.readBytes),
    bytes(usage.writtenBytes),
    String(usage.oomKills ?? "-"),
  ];
}
