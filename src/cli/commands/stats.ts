import type { VmUsage } from "../../lifecycle/usage.ts";
import type { VmRecord } from "../../vm/record.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { formatBytes, formatDuration } from "../format.ts";
import { openWarder } from "../open.ts";
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
  readonly limits: VmRecord["spec"]["limits"];
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
  await using warder = await openWarder(request, terminal);
  const { usageOf } = await import("../../lifecycle/usage.ts");
  const vms = request.ids.length === 0 ? warder.list() : request.ids.map((id) => warder.get(id));
  const entries = vms.map(({ record }): StatsEntry => {
    const { id, state, spec } = record;
    return { id, state, limits: spec.limits, usage: usageOf(warder.machinery.host, record) };
  });
  if (request.json) printJson(terminal, entries);
  else printTable(terminal, heading, entries.map(toRow));
  return 0;
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
