import type { VmId } from "../../vm/id.ts";
import type { IpAddress } from "../../vm/network/address.ts";
import type { InterfacePolicy, VmInterface, VmNetwork } from "../../vm/network/vm-network.ts";
import { hostEnd } from "../ip-batch.ts";
import { BRIDGE_PREFIX, OUTSIDE_PREFIX } from "../numbers.ts";
import {
  accept,
  type Chain,
  connectionIs,
  countIn,
  destinationType,
  different,
  drop,
  equal,
  field,
  masquerade,
  meta,
  protocolOf,
  type Rule,
  rangeOf,
  rule,
  type Statement,
  type Table,
} from "./expressions.ts";

/** The set of the host's ports that VMs may use: the host's end of the cable, its address, protocol, port. */
export const HOST_PORTS = "host-ports";

/** Between connection tracking (-200) and the translation of destinations (-100). */
const BEFORE_TRANSLATION = -145;
const DESTINATION_NAT = -100;
const FILTER = 0;
const SOURCE_NAT = 100;

const fromVm = equal(meta("iifname"), `${OUTSIDE_PREFIX}*`);
const toVm = equal(meta("oifname"), `${OUTSIDE_PREFIX}*`);

/**
 * The host's own rules about VMs, which are the same for all of them: what comes out of a VM's cable reaches nothing of
 * the host, under whichever of its addresses, and no other VM's cable. VMs' namespaces have rules of their own: these
 * hold even if those should be lost. Pure.
 */
export const guardTable: Table = Object.freeze({
  family: "inet",
  name: "warder",
  counters: ["to-host", "to-vm"],
  sets: [{ name: HOST_PORTS, type: ["ifname", "ipv4_addr", "inet_proto", "inet_service"] }],
  chains: [
    {
      name: "guard",
      hook: { type: "filter", hook: "prerouting", priority: BEFORE_TRANSLATION, policy: "accept" },
      rules: [
        rule(fromVm, connectionIs("established", "related"), accept),
        rule(
          fromVm,
          equal(
            { concat: [meta("iifname"), field("ip", "daddr"), meta("l4proto"), field("th", "dport")] },
            `@${HOST_PORTS}`,
          ),
          accept,
        ),
        rule(fromVm, destinationType("local", "broadcast", "anycast", "multicast"), countIn("to-host"), drop),
        // The bridge of a network of VMs is an interface of the host, too.
        rule(equal(meta("iifname"), `${BRIDGE_PREFIX}*`), destinationType("local"), countIn("to-host"), drop),
      ],
    },
    {
      name: "forward",
      hook: { type: "filter", hook: "forward", priority: FILTER, policy: "accept" },
      rules: [rule(fromVm, toVm, countIn("to-vm"), drop)],
    },
    {
      name: "source",
      hook: { type: "nat", hook: "postrouting", priority: SOURCE_NAT, policy: "accept" },
      rules: [
        rule(fromVm, different(meta("oifname"), `${OUTSIDE_PREFIX}*`), masquerade),
        // A connection of the host to a port that it has published on 127.0.0.1.
        rule(toVm, equal(field("ip", "saddr"), rangeOf("127.0.0.0/8")), masquerade),
      ],
    },
  ],
} satisfies Table);

/** A VM's own table on the host: ports of the host that lead to it. `undefined` where there are none. Pure. */
export function publishedTable(id: VmId, { interfaces }: VmNetwork): Table | undefined {
  const rules = interfaces.flatMap((each) =>
    (each.policy?.published ?? []).flatMap((port) => translations(each, port)),
  );
  if (rules.length === 0) return undefined;
  // From others by the first, from the host itself by the second.
  const chain = (hook: "prerouting" | "output"): Chain => ({
    name: hook,
    hook: { type: "nat", hook, priority: DESTINATION_NAT, policy: "accept" },
    rules,
  });
  return { family: "inet", name: publishedTableName(id), counters: [], chains: [chain("prerouting"), chain("output")] };
}

/** Name of a VM's own table on the host. */
export function publishedTableName(id: VmId): string {
  return `warder-${id}`;
}

/** What of the guard's set is a VM's own. Pure. */
export function hostPortElements({ interfaces }: VmNetwork): unknown[] {
  return interfaces.flatMap(({ uplink, policy }) =>
    uplink?.kind === "routed"
      ? (policy?.hostPorts ?? []).map(({ port, protocol }) => ({
          concat: [uplink.outside, hostEnd.ipv4, protocol, port],
        }))
      : [],
  );
}

type Publication = InterfacePolicy["published"][number];

/** A port on all addresses of the host is one of both families. */
function translations({ ipv4, ipv6, uplink }: VmInterface, port: Publication): Rule[] {
  if (uplink?.kind !== "routed") return [];
  const guests = [ipv4, ipv6].filter((guest): guest is NonNullable<typeof guest> => guest !== undefined);
  const { hostAddress } = port;
  return guests
    .filter(({ address }) => hostAddress === undefined || protocolOf(hostAddress) === protocolOf(address))
    .map(({ address }) => translation(address, port));
}

/** The kernel routes nothing from ::1 to another interface, as it can be told to for 127.0.0.1. */
const anyAddress: Readonly<Record<"ip" | "ip6", readonly Statement[]>> = {
  ip: [equal(meta("nfproto"), "ipv4")],
  ip6: [different(field("ip6", "daddr"), "::1")],
};

function translation(address: IpAddress, { hostAddress, hostPort, guestPort, protocol }: Publication): Rule {
  const family = protocolOf(address);
  const where: Statement[] =
    hostAddress === undefined
      ? [...anyAddress[family], destinationType("local")]
      : [equal(field(family, "daddr"), hostAddress)];
  return rule(...where, equal(field(protocol, "dport"), hostPort), {
    dnat: { family, addr: address, port: guestPort },
  });
}
