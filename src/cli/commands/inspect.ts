import type { NetworkView } from "../../vm/network/view.ts";
import type { OutputView } from "../../vm/output.ts";
import { isLive } from "../../vm/state.ts";
import type { VmView } from "../../vm/view.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { formatBytes, formatExit, formatMib } from "../format.ts";
import { openManager } from "../manager/open.ts";
import { printProof, printTimings } from "../proof-table.ts";
import { formatTable, harmless, printJson, printLine, type Terminal } from "../terminal.ts";

/** `warder inspect`, parsed. */
export interface InspectRequest extends CommonRequest {
  readonly id: string;
}

export const inspectCommand = defineCommand({
  operands: { name: "ID", count: "one", help: "the VM" },
  flags: {},
  examples: [
    ["warder inspect vm-1", "Everything about a VM, each control wanted beside found"],
    ["warder inspect vm-1 --json | jq .isolation.gaps", "What is not as it was asked for"],
    [
      `curl --unix-socket "$(warder inspect vm-1 --json | jq -r .jail.socket)" http://x/`,
      "Ask its Firecracker directly",
    ],
  ],
  parse: ({ operands, common }): InspectRequest => ({ ...common, id: operands[0] ?? "" }),
  execute: inspect,
});

/** Shows everything about one VM. */
export async function inspect(request: InspectRequest, terminal: Terminal): Promise<number> {
  await using manager = await openManager(request, terminal);
  const view = await manager.get(request.id).inspect();
  if (request.json) printJson(terminal, view);
  else printView(terminal, view);
  return 0;
}

/** Prints what is known of a VM, the proof of its isolation, and the times of its start. */
export function printView(terminal: Terminal, view: VmView): void {
  for (const line of formatTable(["id", view.id], facts(view))) printLine(terminal, line);
  printLine(terminal);
  printProof(terminal, view);
  printLine(terminal);
  printTimings(terminal, view);
}

function facts(view: VmView): string[][] {
  const { jail, limits, exit, cgroup } = view;
  const rows: (readonly [string, string | undefined])[] = [
    ["state", view.state],
    ["exit", exit === undefined ? undefined : formatExit(exit)],
    ...(exit?.evidence ?? []).map((line) => ["evidence", line] as const),
    ["pid", view.pid === null ? undefined : String(view.pid)],
    ["created", view.createdAt],
    ["started", view.startedAt],
    ["run", view.incarnation === undefined ? undefined : String(view.incarnation)],
    ...(view.history ?? []).map(({ incarnation, exit }) => [`run ${incarnation}`, formatExit(exit)] as const),
    ["restart", view.restart === undefined ? undefined : describeRestart(view.restart)],
    ["kernel", view.kernel],
    ["vcpus", String(view.vcpus)],
    ["memory", formatMib(view.memoryMib)],
    ["firecracker", view.firecrackerVersion],
    ["jailed", view.jailed ? `as ${jail.uid}:${jail.gid}` : "no"],
    ["root", isLive(view.state) ? jail.root : undefined],
    ["socket", isLive(view.state) ? jail.socket : undefined],
    ["cgroup", cgroup === null || !isLive(view.state) ? undefined : describeCgroup(cgroup)],
    ["limits", describeLimits(limits)],
    ["console", describeLosses(view.output?.console)],
    ["log", describeLosses(view.output?.log)],
    ...(view.network?.interfaces ?? []).map((each) => [each.name, describeInterface(each)] as const),
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, harmless(value)]]));
}

function describeInterface({ mode, mac, ipv4, ipv6, bridge, network, published }: NetworkView): string {
  const where = network ?? bridge;
  const addresses = [ipv4, ipv6].filter((address) => address !== null);
  return [`${mode}${where === undefined ? "" : ` ${where}`}`, ...addresses, mac, ...published].join(", ");
}

function describeRestart({ policy, maxRetries, retries, nextAt }: NonNullable<VmView["restart"]>): string {
  const most = maxRetries === undefined ? "" : ` of ${maxRetries}`;
  const next = nextAt === undefined ? "" : `, the next one at ${nextAt}`;
  return policy === "never" && nextAt === undefined ? policy : `${policy}, ${retries}${most} in a row${next}`;
}

/** With v1 one directory for each controller, which differ in one part only. */
function describeCgroup({ version, directories }: NonNullable<VmView["cgroup"]>): string {
  const [first = "none"] = Object.values(directories);
  return `v${version}, ${version === 2 ? first : `${Object.keys(directories).join(", ")}: ${first}`}`;
}

/** Nothing where nothing was lost. */
function describeLosses(output: OutputView | undefined): string | undefined {
  if (output === undefined || (output.droppedBytes === 0 && output.gaps === 0)) return undefined;
  const kept = `the newest ${formatBytes(output.limitBytes)} are kept, ${formatBytes(output.droppedBytes)} were dropped`;
  const times = output.gaps === 1 ? "once" : `${output.gaps} times`;
  return output.gaps === 0 ? kept : `${kept}, and ${times} an unknown amount while no manager read it`;
}

function describeLimits(limits: VmView["limits"]): string {
  const all = limitTexts(limits);
  return all.length === 0 ? "none" : all.join(", ");
}

function limitTexts(limits: VmView["limits"]): string[] {
  const bytes = (name: string, value: number | undefined) =>
    value === undefined ? [] : [`${name} ${formatBytes(value)}`];
  const plain = (name: string, value: string | number | undefined, unit = "") =>
    value === undefined ? [] : [`${name} ${value}${unit}`];
  return [
    ...bytes("memory", limits.memoryBytes),
    ...plain("cpu", limits.cpuPercent, " %"),
    ...plain("cpu weight", limits.cpuWeight),
    ...plain("cpus", limits.cpus),
    ...plain("memory nodes", limits.memoryNodes),
    ...plain("threads", limits.pids),
    ...plain("open files", limits.openFiles),
    ...bytes("file size", limits.fileSizeBytes),
    ...(limits.io ?? []).map(({ device }) => `io of ${device}`),
  ];
}
