import type { VmId } from "../vm/id.ts";
import type { Control, ControlPhase } from "../vm/isolation.ts";
import type { VmNetwork } from "../vm/network/vm-network.ts";
import type { FoundDevice, FoundNamespace, FoundRoute, FoundRule } from "./found.ts";
import { insideBatch, insideIpv6Batch, type TapOwner } from "./ip-batch.ts";
import { strangers, tableDifferences } from "./rules/compare.ts";
import { insideTables } from "./rules/inside.ts";

/** What is wanted of a VM's namespace. */
export interface WantedNamespace {
  readonly id: VmId;
  readonly network: VmNetwork;
  readonly owner: TapOwner;
}

/** A control before it is known in which phase of the proof it was read. */
export type Finding = Omit<Control, "phase">;

/** What a set of rules is, when it is as wanted. */
export const AS_WANTED = "as wanted";

/**
 * Compares a VM's namespace with what was made: the commands say what is wanted, the kernel what there is. Whatever else
 * is there is a gap too: a device or a rule that nobody asked for may be a way out. Pure.
 */
export function compareNamespace(wanted: WantedNamespace, found: FoundNamespace): Finding[] {
  const { id, network, owner } = wanted;
  const batch = insideBatch(id, network, owner).split("\n");
  const rules = insideTables(network);
  return [
    compareDevices(network, found),
    ...network.interfaces.map(({ name, tap }) => compareTap(name, tap, owner, found.devices)),
    ...(hasCni(network) ? [] : compareAddressing(batch, insideIpv6Batch(network).split("\n"), found)),
    compareRules("network.rules", [
      ...rules.flatMap((table) => tableDifferences(table, found.ruleset)),
      ...(hasCni(network) ? [] : strangers(rules, found.ruleset)),
    ]),
  ];
}

/** Controls with the phase in which they were read. */
export function toControls(findings: readonly Finding[], phase: ControlPhase): Control[] {
  return findings.map((finding) => Object.freeze({ ...finding, phase }));
}

/** A set of rules, as one control. */
export function compareRules(name: string, differences: readonly string[]): Finding {
  const ok = differences.length === 0;
  return { name, wanted: AS_WANTED, found: ok ? AS_WANTED : differences.slice(0, 3).join("; "), ok };
}

/** Two lists of words, whatever their order, as one control. */
export function compareLists(name: string, wanted: readonly string[], found: readonly string[]): Finding {
  const [one, other] = [toText(wanted), toText(found)];
  return { name, wanted: one, found: other, ok: one === other };
}

/** What a plugin of a CNI network sets in the namespace is the plugin's. */
function hasCni({ interfaces }: VmNetwork): boolean {
  return interfaces.some(({ mode }) => mode === "cni");
}

function compareDevices({ interfaces }: VmNetwork, { devices }: FoundNamespace): Finding {
  const wanted = interfaces.flatMap(({ tap, uplink }) => [tap, ...(uplink === undefined ? [] : [uplink.inside])]);
  const down = devices.filter(({ flags }) => !flags.includes("UP")).map(({ ifname }) => ifname);
  const found = devices.map(({ ifname }) => `${ifname}${down.includes(ifname) ? " (down)" : ""}`);
  return compareLists("network.devices", ["lo", ...wanted], found.filter(isNoTunnel));
}

/** Devices that the kernel makes in every namespace where a module for tunnels is loaded. They are down. */
function isNoTunnel(device: string): boolean {
  return !/^(tunl|gre|gretap|erspan|ip_vti|ip6_vti|sit|ip6tnl|ip6gre)0 \(down\)$/.test(device);
}

/** A TAP device, which Firecracker alone may open. */
export function compareTap(
  name: string,
  tap: string,
  { uid, gid }: TapOwner,
  devices: readonly FoundDevice[],
): Finding {
  const wanted = `${tap}, a tap device of ${uid}:${gid}`;
  const device = devices.find(({ ifname }) => ifname === tap);
  const { info_data: data } = device?.linkinfo ?? {};
  const found =
    device === undefined
      ? "none"
      : `${tap}, a ${data?.type ?? "strange"} device of ${data?.user ?? "anybody"}:${data?.group ?? "anybody"}`;
  return { name: `network.${name}.tap`, wanted, found, ok: found === wanted };
}

function compareAddressing(batch: readonly string[], ipv6Batch: readonly string[], found: FoundNamespace): Finding[] {
  const addresses = wantedAddresses(batch);
  const usesRules = batch.some((line) => line.startsWith("rule "));
  return [
    compareLists("network.addresses", addresses, foundAddresses(found, addresses)),
    compareLists("network.routes", wantedOf(batch, "route add "), foundRoutes(found.routes)),
    compareLists("network.neighbours", wantedNeighbours(batch), foundNeighbours(found)),
    ...(usesRules
      ? [compareLists("network.routing-rules", wantedOf([...batch, ...ipv6Batch], "rule add "), foundRules(found))]
      : []),
  ];
}

function wantedOf(batch: readonly string[], verb: string): string[] {
  return batch.filter((line) => line.startsWith(verb)).map((line) => line.slice(verb.length));
}

function wantedAddresses(batch: readonly string[]): string[] {
  return wantedOf(batch, "addr add ").map((line) => line.replace(/ (scope link|nodad)$/, ""));
}

/** Without those of the loopback device, and the link-local ones that the kernel gives to devices by itself. */
function foundAddresses({ devices }: FoundNamespace, wanted: readonly string[]): string[] {
  return devices
    .filter(({ ifname }) => ifname !== "lo")
    .flatMap(({ ifname, addr_info }) => addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen} dev ${ifname}`))
    .filter((address) => wanted.includes(address) || !/^fe80:.*\/64 /.test(address));
}

/** What the kernel adds for itself is left out: local and broadcast addresses, and ranges of link-local ones. */
function foundRoutes(routes: readonly FoundRoute[]): string[] {
  return routes
    .filter(
      ({ type, protocol, dst }) => (type ?? "unicast") === "unicast" && protocol !== "kernel" && dst !== "multicast",
    )
    .map(({ dst, gateway, dev, flags, table = "main" }) => {
      const anywhere = gateway?.includes(":") === true ? "::/0" : "0.0.0.0/0";
      const way = `${gateway === undefined ? "" : ` via ${gateway}`} dev ${dev}`;
      const onlink = flags?.includes("onlink") === true ? " onlink" : "";
      return `${dst === "default" ? anywhere : dst}${way}${onlink}${table === "main" ? "" : ` table ${table}`}`;
    });
}

function wantedNeighbours(batch: readonly string[]): string[] {
  return wantedOf(batch, "neigh add ").map((line) => line.replace(/ nud permanent$/, ""));
}

function foundNeighbours({ neighbours, proxies }: FoundNamespace): string[] {
  return [
    ...neighbours
      .filter(({ state }) => state?.includes("PERMANENT") === true)
      .map(({ dst, lladdr, dev }) => `${dst} lladdr ${lladdr} dev ${dev}`),
    ...proxies.map(({ dst, dev }) => `proxy ${dst} dev ${dev}`),
  ];
}

/** But for the kernel's own last ones, which only the namespace itself gets to. */
function foundRules({ rules, ipv6Rules }: FoundNamespace): string[] {
  const own = (each: readonly FoundRule[]) => each.filter(({ priority }) => priority < 32_766);
  const hasIpv6 = own(ipv6Rules).some(({ priority }) => priority !== 0);
  return [...own(rules), ...(hasIpv6 ? own(ipv6Rules) : [])].map(
    ({ priority, iif, table }) => `pref ${priority}${iif === undefined ? "" : ` iif ${iif}`} lookup ${table}`,
  );
}

function toText(words: readonly string[]): string {
  return words.length === 0 ? "none" : words.toSorted().join(", ");
}
