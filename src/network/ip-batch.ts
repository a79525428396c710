import type { VmId } from "../vm/id.ts";
import { canonical } from "../vm/network/address.ts";
import type { BridgedUplink, RoutedUplink, VmInterface, VmNamespace, VmNetwork } from "../vm/network/vm-network.ts";

/** The jail's user, to whom TAP devices belong: another could attach to a device that is nobody's. */
export interface TapOwner {
  readonly uid: number;
  readonly gid: number;
}

/** An interface with its place among the VM's. */
type Placed = VmInterface & { readonly index: number };

/**
 * The host's end of every routed uplink as the namespace knows it. Nobody but the two ends of the cable ever sees them:
 * both have each other's hardware address, and never ask for it.
 */
export const hostEnd = Object.freeze({ ipv4: "169.254.1.1", ipv6: "fe80::2" });

/** Routing tables of the namespace, by the interface's index: on the way in, from the uplink; and on the way out. */
const IN_TABLE = 100;
const OUT_TABLE = 200;

/** `ip -batch` on the host: the namespace, the cables, and the routes to the VM's addresses. Pure. */
export function hostBatch(id: VmId, namespace: VmNamespace, network: VmNetwork): string {
  return toText([
    `netns add ${namespace.name}`,
    ...placed(network).flatMap((each) => outsideLines(id, namespace, each)),
  ]);
}

/** `ip -batch` in the namespace: devices, addresses, routes. Pure. */
export function insideBatch(id: VmId, network: VmNetwork, owner: TapOwner): string {
  const interfaces = placed(network);
  return toText([
    "link set dev lo up",
    ...interfaces.flatMap((each) => [
      ...tapLines(id, each, owner),
      ...guestLines(each, network),
      ...uplinkLines(each, network),
    ]),
    ...ruleLines(interfaces.filter((each) => usesTables(each, network, 4))),
  ]);
}

/** `ip -6 -batch` in the namespace, for what `ip` takes the protocol of from its flag alone. Empty: nothing. Pure. */
export function insideIpv6Batch(network: VmNetwork): string {
  return toText(ruleLines(placed(network).filter((each) => usesTables(each, network, 6))));
}

function placed({ interfaces }: VmNetwork): Placed[] {
  return interfaces.map((each, index) => ({ ...each, index }));
}

function outsideLines(id: VmId, namespace: VmNamespace, { ipv4, ipv6, name, uplink, policy }: Placed): string[] {
  if (uplink === undefined || uplink.kind === "cni") return [];
  const { outside, outsideMac, inside, insideMac } = uplink;
  const noAutomatic = ipv6 === undefined ? "" : " addrgenmode none";
  const add = `link add name ${outside} address ${outsideMac} type veth peer name ${inside} address ${insideMac} netns ${namespace.name}`;
  const common = `link set dev ${outside} alias warder/${id}/${name}${noAutomatic}`;
  if (uplink.kind === "bridged") {
    // The VMs of one network are to reach each other; on a bridge of the host they are strangers.
    const isolation = uplink.network === undefined ? [`link set dev ${outside} type bridge_slave isolated on`] : [];
    return [add, `${common} master ${uplink.bridge} up`, ...isolation];
  }
  const addresses = [ipv4?.address, ipv6?.address].filter((address) => address !== undefined);
  return [
    add,
    `${common} up`,
    ...addresses.map((address) => `neigh add ${address} lladdr ${insideMac} dev ${outside} nud permanent`),
    ...addresses.map((address) => `route add ${address} dev ${outside}`),
    ...(policy?.hostPorts.length ? [`addr add ${hostEnd.ipv4}/32 dev ${outside} scope link`] : []),
  ];
}

function tapLines(id: VmId, { tap, ipv6 }: Placed, { uid, gid }: TapOwner): string[] {
  const noAutomatic = ipv6 === undefined ? "" : " addrgenmode none";
  return [
    `tuntap add dev ${tap} mode tap user ${uid} group ${gid}`,
    // The alias is the name that the device would have if names could be longer than 15 bytes.
    `link set dev ${tap} alias tap-${id}${noAutomatic} up`,
  ];
}

/** Towards the guest, whose hardware address is known: nothing it says can change where its packets go. */
function guestLines(each: Placed, network: VmNetwork): string[] {
  const { tap, mac, ipv4, ipv6, uplink } = each;
  const isGatewayOurs = ipv4?.gateway !== undefined && uplink?.kind !== "bridged";
  return [
    ...(isGatewayOurs ? [`addr add ${ipv4.gateway}/32 dev ${tap} scope link`] : []),
    ...(ipv4 === undefined ? [] : neighbourLines(ipv4.address, `lladdr ${mac} dev ${tap}`, inTable(each, network, 4))),
    ...(ipv6 === undefined ? [] : [`addr add ${ipv6.gateway}/64 dev ${tap} nodad`]),
    ...(ipv6 === undefined ? [] : neighbourLines(ipv6.address, `lladdr ${mac} dev ${tap}`, inTable(each, network, 6))),
  ];
}

function neighbourLines(address: string, place: string, table: string): string[] {
  const device = place.slice(place.indexOf("dev "));
  return [`neigh add ${address} ${place} nud permanent`, `route add ${address} ${device}${table}`];
}

function uplinkLines(each: Placed, network: VmNetwork): string[] {
  const { uplink } = each;
  if (uplink === undefined || uplink.kind === "cni") return [];
  return [
    `link set dev ${uplink.inside}${each.ipv6 === undefined ? "" : " addrgenmode none"} up`,
    ...(uplink.kind === "routed" ? routedLines(each, uplink, network) : bridgedLines(each, uplink, network)),
  ];
}

function routedLines(each: Placed, { inside, outsideMac }: RoutedUplink, network: VmNetwork): string[] {
  const lines = (family: 4 | 6, gateway: string) => [
    `neigh add ${gateway} lladdr ${outsideMac} dev ${inside} nud permanent`,
    `route add ${anywhere[family]} via ${gateway} dev ${inside} onlink${outTable(each, network, family)}`,
  ];
  return [...lines(4, hostEnd.ipv4), ...(each.ipv6 === undefined ? [] : lines(6, hostEnd.ipv6))];
}

/**
 * The namespace answers for the VM's addresses on the bridge, with its own hardware address. It has the IPv4 address
 * itself, to ask in its name; what comes for it is looked up in another table before it is found to be local.
 */
function bridgedLines(each: Placed, uplink: BridgedUplink, network: VmNetwork): string[] {
  const { ipv4, ipv6 } = each;
  const { inside, subnets, gateways } = uplink;
  const tableOf = (address: string) => outTable(each, network, address.includes(":") ? 6 : 4);
  return [
    ...(ipv4 === undefined
      ? []
      : [`addr add ${ipv4.address}/32 dev ${inside}`, `neigh add proxy ${ipv4.address} dev ${inside}`]),
    ...(ipv6 === undefined
      ? []
      : [`addr add ${linkLocal(uplink)}/64 dev ${inside} nodad`, `neigh add proxy ${ipv6.address} dev ${inside}`]),
    ...subnets.map((subnet) => `route add ${subnet} dev ${inside}${tableOf(subnet)}`),
    ...Object.values(gateways).map(
      (gateway) =>
        `route add ${anywhere[gateway.includes(":") ? 6 : 4]} via ${gateway} dev ${inside} onlink${tableOf(gateway)}`,
    ),
  ];
}

const anywhere = { 4: "0.0.0.0/0", 6: "::/0" } as const;

/** What the namespace asks its neighbours from: made of the one number that all names of the interface are made of. */
function linkLocal({ insideMac }: BridgedUplink): string {
  const bytes = insideMac.replaceAll(":", "");
  return canonical(`fe80::${bytes.slice(0, 4)}:${bytes.slice(4, 8)}:${bytes.slice(8)}`);
}

/**
 * With several interfaces, what comes from one can only go out by its own uplink, and back; with one, there is no other
 * way. A bridged one needs it in IPv4, as the namespace has its address too.
 */
function usesTables({ uplink }: VmInterface, { interfaces }: VmNetwork, family: 4 | 6): boolean {
  if (uplink === undefined || uplink.kind === "cni") return false;
  return interfaces.length > 1 ? family === 4 || hasIpv6(interfaces) : family === 4 && uplink.kind === "bridged";
}

function hasIpv6(interfaces: readonly VmInterface[]): boolean {
  return interfaces.some(({ ipv6 }) => ipv6 !== undefined);
}

function inTable(each: Placed, network: VmNetwork, family: 4 | 6): string {
  return usesTables(each, network, family) ? ` table ${IN_TABLE + each.index}` : "";
}

function outTable(each: Placed, network: VmNetwork, family: 4 | 6): string {
  return usesTables(each, network, family) ? ` table ${OUT_TABLE + each.index}` : "";
}

/** The rule for local addresses goes behind those for what comes in by an uplink. */
function ruleLines(interfaces: readonly Placed[]): string[] {
  if (interfaces.length === 0) return [];
  return [
    "rule add pref 20 lookup local",
    "rule del pref 0",
    ...interfaces.flatMap(({ index, tap, uplink }) => [
      `rule add pref 10 iif ${uplink?.inside} lookup ${IN_TABLE + index}`,
      `rule add pref 30 iif ${tap} lookup ${OUT_TABLE + index}`,
    ]),
  ];
}

function toText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
