import type { VmInterface } from "../../vm/network/vm-network.ts";
import {
  accept,
  type Chain,
  countIn,
  different,
  drop,
  equal,
  field,
  type Rule,
  rangeOf,
  rule,
  type Table,
} from "./expressions.ts";

/** Counts what a guest sent in the name of another. */
export const SPOOFED = "spoofed";

/** Before all else that the kernel does with a packet. */
const FIRST = -500;

/**
 * What a guest may call itself: its own hardware address, and in what it sends its own addresses. All else is dropped
 * at the first opportunity, before it costs a lookup or an entry in a table: other protocols than IP and ARP, VLANs, and
 * ARP in another's name, with which a guest would fill the neighbour table that all namespaces of the host share.
 */
export function sourceTable(name: string, interfaces: readonly VmInterface[]): Table {
  return { family: "netdev", name, counters: [SPOOFED], chains: interfaces.map(fromGuest) };
}

function fromGuest({ name, tap, mac, ipv4, ipv6, uplink }: VmInterface): Chain {
  // What is a CNI network's has been carried over before this hook: what comes here has no right to.
  const isCarriedOver = uplink?.kind === "cni";
  return {
    name: `from-${name}`,
    hook: { type: "filter", hook: "ingress", priority: FIRST, policy: "drop", device: tap },
    rules: [
      rule(different(field("ether", "saddr"), mac), countIn(SPOOFED), drop),
      ...(ipv4 === undefined || isCarriedOver ? [] : ipv4Rules(mac, ipv4.address)),
      ...(ipv6 === undefined || isCarriedOver ? [] : ipv6Rules(ipv6.address)),
      rule(countIn(SPOOFED), drop),
    ],
  };
}

/** ARP with the address unset asks whether somebody has it, as a guest does before it takes it. */
function ipv4Rules(mac: string, address: string): Rule[] {
  const arpFrom = (sender: string) =>
    rule(equal(field("arp", "saddr ether"), mac), equal(field("arp", "saddr ip"), sender), accept);
  return [arpFrom(address), arpFrom("0.0.0.0"), rule(equal(field("ip", "saddr"), address), accept)];
}

/** Link-local addresses and the unset one are for finding neighbours; nobody forwards them. */
function ipv6Rules(address: string): Rule[] {
  const sources = [address, rangeOf("fe80::/10"), "::"];
  return sources.map((source) => rule(equal(field("ip6", "saddr"), source), accept));
}
