import type { SharedNetwork } from "../../lifecycle/network-admin.ts";
import { isWarderError } from "../../vm/error.ts";
import type { VmView } from "../../vm/view.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import type { Interruption } from "../interruption.ts";
import type { Drops, Manager } from "../manager/manager.ts";
import { openManager } from "../manager/open.ts";
import { harmless, printJson, printLine, printTable, type Terminal } from "../terminal.ts";

const verbs = ["ls", "inspect", "rm"] as const;
type Verb = (typeof verbs)[number];

/** `warder network`, parsed. */
export interface NetworkRequest extends CommonRequest {
  readonly verb: Verb;
  /** A network, or for `inspect` a VM. Empty for `ls`. */
  readonly name: string;
}

export const networkCommand = defineCommand({
  operands: { name: "ls|inspect|rm [NAME]", count: "each", help: "what to do; the network, or for inspect a VM" },
  flags: {},
  details:
    "A network is made when the first VM names it (`warder run --net network=blue`), and stays until it is removed: its\n" +
    "VMs reach each other, and nothing else by it. `inspect` of a VM shows its interfaces, and what its rules dropped.",
  examples: [
    ["warder network ls", "The networks that VMs share"],
    ["warder network inspect blue", "Who is in one"],
    ["warder network inspect vm-1", "What a VM has, and what was dropped, and why"],
    ["warder network rm blue", "Remove one that no VM is in"],
  ],
  parse: ({ operands: [verb = "", name = ""], common, refuse }): NetworkRequest => {
    const known = verbs.find((each) => each === verb);
    if (known === undefined && verb !== "") refuse(verb, `is not known: it must be ${verbs.join(", ")}`);
    if (known === "ls" && name !== "") refuse(name, "is one argument too many");
    if (known !== undefined && known !== "ls" && name === "") refuse("NAME", "is needed");
    return { ...common, verb: known ?? "ls", name };
  },
  execute: network,
});

/** Lists, shows or removes networks. */
export async function network(
  request: NetworkRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  await using manager = await openManager(request, terminal);
  const { networks } = manager;
  if (request.verb === "rm") await networks.remove(request.name, signal);
  if (request.verb === "ls") printNetworks(request, terminal, await networks.list());
  if (request.verb !== "inspect") return 0;
  const view = await viewOf(manager, request.name);
  if (view === undefined) printNetwork(request, terminal, await networks.get(request.name));
  else printVm(request, terminal, view, await manager.get(view.id).drops(signal));
  return 0;
}

/** `undefined` where no VM is called so. */
async function viewOf(manager: Manager, id: string): Promise<VmView | undefined> {
  try {
    return await manager.get(id).inspect();
  } catch (error) {
    if (isWarderError(error) && (error.code === "vm-not-found" || error.code === "invalid-argument")) return undefined;
    throw error;
  }
}

function printNetworks({ json }: NetworkRequest, terminal: Terminal, networks: readonly SharedNetwork[]): void {
  if (json) printJson(terminal, networks);
  else if (networks.length === 0) printLine(terminal, "no network is shared by VMs");
  else {
    const rows = networks.map(({ name, ipv4, ipv6, bridge, vms }) => [
      name,
      ipv4,
      ipv6 ?? "",
      bridge,
      String(vms.length),
    ]);
    printTable(terminal, ["NAME", "IPV4", "IPV6", "BRIDGE", "VMS"], rows);
  }
}

function printNetwork({ json }: NetworkRequest, terminal: Terminal, found: SharedNetwork): void {
  if (json) printJson(terminal, found);
  else {
    const rows = [
      ["ipv4", found.ipv4],
      ["ipv6", found.ipv6 ?? "none"],
      ["bridge", found.bridge],
    ];
    const members = found.vms.map(({ id, addresses }) => [id, addresses.join(", ")]);
    printTable(terminal, ["network", found.name], [...rows, ...members]);
  }
}

function printVm(
  { json }: NetworkRequest,
  terminal: Terminal,
  { id, network: own }: VmView,
  drops: readonly Drops[],
): void {
  if (json) {
    printJson(terminal, { id, network: own ?? null, drops });
    return;
  }
  const interfaces = (own?.interfaces ?? []).map(({ name, mode, ipv4, ipv6, tap, outside, published }) => [
    name,
    mode,
    ipv4 ?? "",
    ipv6 ?? "",
    outside === undefined ? tap : `${tap}, ${outside}`,
    harmless(published.join(", ")),
  ]);
  if (interfaces.length === 0) printLine(terminal, `${id} has no interface`);
  else printTable(terminal, ["INTERFACE", "MODE", "IPV4", "IPV6", "DEVICES", "PUBLISHED"], interfaces);
  printLine(terminal);
  const counted = drops.map(({ reason, packets, bytes }) => [reason, String(packets), String(bytes)]);
  printTable(terminal, ["DROPPED", "PACKETS", "BYTES"], counted);
}
