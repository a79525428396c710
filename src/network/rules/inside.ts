import type { InterfacePolicy, Opening, VmInterface, VmNetwork } from "../../vm/network/vm-network.ts";
import { closedIpv4, closedIpv6, globalIpv6 } from "../closed-ranges.ts";
import { hostEnd } from "../ip-batch.ts";
import {
  accept,
  type Chain,
  connectionIs,
  counted,
  countIn,
  different,
  drop,
  equal,
  field,
  jump,
  meta,
  named,
  protocolOf,
  type Rule,
  rangeOf,
  rule,
  type Statement,
  type Table,
} from "./expressions.ts";
import { sourceTable } from "./source.ts";

/** Name of all tables in a VM's namespace. */
export const INSIDE_TABLE = "warder";

/**
 * Why a packet was dropped in a VM's namespace. `closed`: to a range that is not the public internet and was not opened;
 * `refused`: to anything else that was not opened; `inbound`: to the VM, unasked; `flood`: more new connections than it
 * may make; `invalid`: of no connection; `unrouted`: from one interface of the VM to another's way out; `local`: to or
 * from the namespace itself.
 */
export const dropReasons = ["closed", "refused", "inbound", "flood", "invalid", "unrouted", "local"] as const;

/** Standard priorities of nftables. */
const FILTER = 0;
const DESTINATION_NAT = -100;

/**
 * The rules in a VM's namespace: whatever is not named here is dropped, and counted. What a CNI network's plugins made is
 * joined to the guest before any of these is asked, and has rules of its own. Pure.
 */
export function insideTables(network: VmNetwork): Table[] {
  return [sourceTable(INSIDE_TABLE, network.interfaces), policyTable(network)];
}

function policyTable({ interfaces }: VmNetwork): Table {
  const led = interfaces.flatMap((each, index) =>
    each.uplink === undefined || each.policy === undefined ? [] : [{ ...each, index }],
  );
  return {
    family: "inet",
    name: INSIDE_TABLE,
    counters: dropReasons,
    chains: [
      { name: "input", hook: filter("input"), rules: inputRules(interfaces) },
      { name: "output", hook: filter("output"), rules: outputRules() },
      {
        name: "forward",
        hook: filter("forward"),
        rules: [...stateRules, ...led.flatMap(ways), rule(countIn("unrouted"), drop)],
      },
      ...led.flatMap((each) => [outChain(each), inChain(each)]),
      ...hostPortChains(led),
    ],
  };
}

function filter(hook: "input" | "output" | "forward"): NonNullable<Chain["hook"]> {
  return { type: "filter", hook, priority: FILTER, policy: "drop" };
}

type Led = VmInterface & { readonly index: number };

const stateRules: readonly Rule[] = [
  rule(connectionIs("established", "related"), accept),
  rule(connectionIs("invalid"), countIn("invalid"), drop),
];

const neighbourDiscovery = equal(field("icmpv6", "type"), {
  set: ["nd-neighbor-solicit", "nd-neighbor-advert"],
});

/** What kernels say to everybody of themselves, such as which groups they listen to, is dropped and not worth a count. */
const announcements: readonly Rule[] = [
  rule(equal(field("ip6", "daddr"), rangeOf("ff00::/8")), drop),
  rule(equal(field("ip", "daddr"), rangeOf("224.0.0.0/4")), drop),
];

/** The namespace is no host: it answers a ping of its guest, and asks and answers who is where. */
function inputRules(interfaces: readonly VmInterface[]): Rule[] {
  const pings = interfaces.flatMap(({ tap, ipv6 }) => [
    rule(equal(meta("iifname"), tap), equal(field("icmp", "type"), "echo-request"), accept),
    ...(ipv6 === undefined
      ? []
      : [rule(equal(meta("iifname"), tap), equal(field("icmpv6", "type"), "echo-request"), accept)]),
  ]);
  return [
    rule(equal(meta("iifname"), "lo"), accept),
    rule(connectionIs("established", "related"), accept),
    rule(neighbourDiscovery, accept),
    ...pings,
    ...announcements,
    rule(countIn("local"), drop),
  ];
}

/** What is in the namespace besides the kernel is Firecracker, which has nothing to say there. */
function outputRules(): Rule[] {
  return [
    rule(equal(meta("oifname"), "lo"), accept),
    rule(connectionIs("established", "related"), accept),
    rule(neighbourDiscovery, accept),
    ...announcements,
    rule(countIn("local"), drop),
  ];
}

function ways({ index, tap, uplink }: Led): Rule[] {
  const inside = uplink?.inside;
  return [
    rule(equal(meta("iifname"), tap), equal(meta("oifname"), inside), jump(`out-${index}`)),
    rule(equal(meta("iifname"), inside), equal(meta("oifname"), tap), jump(`in-${index}`)),
  ];
}

/** From the guest. Every rule ends in a verdict, so that the last one is the default. */
function outChain({ index, policy, uplink }: Led): Chain {
  if (policy === undefined) throw new TypeError("an interface with rules of its own has a policy");
  const { newConnectionsPerSecond: rate } = policy;
  const limit = { limit: { rate, burst: 2 * rate, per: "second", inv: true } };
  const fellows = uplink?.kind === "bridged" && policy.base === "fellows" ? uplink.subnets : [];
  return {
    name: `out-${index}`,
    rules: [
      rule(limit, countIn("flood"), drop),
      ...policy.hostPorts.map(({ port, protocol }) =>
        named(
          `host:${port}/${protocol}`,
          to(hostEnd.ipv4),
          ...ports(protocol, { first: port, last: port }),
          counted,
          accept,
        ),
      ),
      ...policy.openings.map(openingRule),
      ...fellows.map((subnet) => named("same network", to(subnet), counted, accept)),
      ...(policy.base === "public" ? publicRules(policy) : []),
      rule(countIn("refused"), drop),
    ],
  };
}

function openingRule({ range, protocol, ports: range_, host }: Opening): Rule {
  const what = protocol === "any" ? [] : protocol === "icmp" ? [icmpOf(range)] : ports(protocol, range_);
  return named(`allowed${host === undefined ? "" : ` as ${host}`}`, to(range), ...what, counted, accept);
}

function publicRules({ closed }: InterfacePolicy): Rule[] {
  const set = (ranges: readonly string[]) => ({ set: ranges.map(rangeOf) });
  return [
    rule(equal(field("ip", "daddr"), set(closedIpv4)), countIn("closed"), drop),
    rule(different(field("ip6", "daddr"), rangeOf(globalIpv6)), countIn("closed"), drop),
    rule(equal(field("ip6", "daddr"), set(closedIpv6)), countIn("closed"), drop),
    ...closed.map((range) => rule(to(range), countIn("closed"), drop)),
    named("public internet", counted, accept),
  ];
}

/** To the guest: what was published, and what its fellows send. */
function inChain({ index, ipv4, ipv6, policy, uplink }: Led): Chain {
  const addresses = [ipv4?.address, ipv6?.address].filter((address) => address !== undefined);
  const published = (policy?.published ?? []).flatMap(({ guestPort, protocol }) =>
    addresses.map((address) =>
      named(
        `published ${guestPort}/${protocol}`,
        to(`${address}/${protocolOf(address) === "ip" ? 32 : 128}`),
        ...ports(protocol, { first: guestPort, last: guestPort }),
        counted,
        accept,
      ),
    ),
  );
  const fellows = uplink?.kind === "bridged" && policy?.base === "fellows" ? uplink.subnets : [];
  return {
    name: `in-${index}`,
    rules: [
      ...published,
      ...fellows.map((subnet) => named("same network", from(subnet), counted, accept)),
      rule(countIn("inbound"), drop),
    ],
  };
}

/** The host's ports that were opened answer at the address of the guest's gateway. */
function hostPortChains(interfaces: readonly Led[]): Chain[] {
  const rules = interfaces.flatMap(({ tap, ipv4, policy }) =>
    (policy?.hostPorts ?? []).map(({ port, protocol }) =>
      rule(
        equal(meta("iifname"), tap),
        equal(field("ip", "daddr"), ipv4?.gateway),
        ...ports(protocol, { first: port, last: port }),
        { dnat: { family: "ip", addr: hostEnd.ipv4, port } },
      ),
    ),
  );
  const hook = { type: "nat", hook: "prerouting", priority: DESTINATION_NAT, policy: "accept" } as const;
  return rules.length === 0 ? [] : [{ name: "host-ports", hook, rules }];
}

function to(range: string): Statement {
  return equal(field(protocolOf(range), "daddr"), rangeOf(range));
}

function from(range: string): Statement {
  return equal(field(protocolOf(range), "saddr"), rangeOf(range));
}

function icmpOf(range: string): Statement {
  return equal(meta("l4proto"), protocolOf(range) === "ip" ? "icmp" : "ipv6-icmp");
}

function ports(protocol: "tcp" | "udp", range: Opening["ports"]): Statement[] {
  if (range === undefined) return [equal(meta("l4proto"), protocol)];
  const { first, last } = range;
  return [equal(field(protocol, "dport"), first === last ? first : { range: [first, last] })];
}
