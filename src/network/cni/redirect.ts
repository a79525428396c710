import type { VmInterface } from "../../vm/network/vm-network.ts";

/**
 * `tc -batch` in the namespace: joins the TAP device to what the plugins made, frame by frame, so that the guest is the
 * interface that they made. From the guest only what it sends in its own name is carried over; the rest stays in the
 * namespace, where it is dropped and counted. Pure.
 */
export function redirectBatch({ tap, mac, ipv4, ipv6, uplink }: VmInterface): string {
  if (uplink?.kind !== "cni") throw new TypeError(`${tap} leads to no CNI network`);
  const into = (device: string) => `action mirred egress redirect dev ${device}`;
  const fromGuest = (protocol: string, match: string, preference: number) =>
    `filter add dev ${tap} parent ffff: pref ${preference} protocol ${protocol} u32 match ether src ${mac} ${match} ${into(uplink.inside)}`;
  const lines = [
    `qdisc add dev ${uplink.inside} ingress`,
    `filter add dev ${uplink.inside} parent ffff: protocol all u32 match u32 0 0 ${into(tap)}`,
    `qdisc add dev ${tap} ingress`,
    ...(ipv4 === undefined
      ? []
      : [
          fromGuest("ip", `match ip src ${ipv4.address}/32`, 1),
          fromGuest("arp", senderIs(ipv4.address), 2),
          fromGuest("arp", senderIs("0.0.0.0"), 2),
        ]),
    ...(ipv6 === undefined
      ? []
      : [`${ipv6.address}/128`, "fe80::/10", "::/128"].map((source) =>
          fromGuest("ipv6", `match ip6 src ${source}`, 3),
        )),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** Where ARP has the sender's IPv4 address: RFC 826. */
const ARP_SENDER = 14;

/** In two halves, as it does not begin where a word of four bytes does. */
function senderIs(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  return `match u16 ${a * 256 + b} 0xffff at ${ARP_SENDER} match u16 ${c * 256 + d} 0xffff at ${ARP_SENDER + 2}`;
}
