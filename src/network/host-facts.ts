import type { Host } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { addressOf, type IpAddress, type Ipv4 } from "../vm/network/address.ts";
import { type Cidr, overlaps, toCidr } from "../vm/network/cidr.ts";
import { formatDestination } from "../vm/network/destination.ts";
import type { InterfaceName } from "../vm/network/names.ts";
import type { PublishedPort } from "../vm/network/published-port.ts";
import type { NetworkSpec } from "../vm/network/spec.ts";
import type { VmNetwork } from "../vm/network/vm-network.ts";
import { parseDevices } from "./found.ts";
import { OUTSIDE_PREFIX } from "./numbers.ts";
import { type BridgeFacts, needsForwarding, uplinkKind } from "./planned-interface.ts";
import { type Bounds, runTool } from "./tools.ts";

/** What the kernel of the host is set to do with packets that are not its own. */
export interface ForwardingFacts {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** False: the kernel has no IPv6, or it is switched off. */
  readonly hasIpv6: boolean;
}

/** Reads {@link ForwardingFacts}: three small files. */
export function readForwarding(host: Host): ForwardingFacts {
  const read = (file: string) => {
    const path = `${host.roots.proc}/sys/net/${file}`;
    return host.files.inspect(path) === undefined ? undefined : host.files.readText(path, 16).trim();
  };
  return {
    ipv4: read("ipv4/ip_forward") === "1",
    ipv6: read("ipv6/conf/all/forwarding") === "1",
    hasIpv6: read("ipv6/conf/all/disable_ipv6") === "0",
  };
}

/**
 * Whether an interface gets an IPv6 address: where the host can carry it, unless the caller says otherwise.
 *
 * @throws {@link WarderError} `network-unavailable` where the caller insists, and the host can not; and where the host
 * forwards nothing, and the interface is to lead anywhere.
 */
export function decideIpv6(spec: NetworkSpec, forwarding: ForwardingFacts): boolean {
  const mustForward = needsForwarding(spec);
  if (mustForward && !forwarding.ipv4) throw notForwarding(spec, "net.ipv4.ip_forward");
  if (spec.ipv6 === false) return false;
  const isCarried = forwarding.hasIpv6 && (!mustForward || forwarding.ipv6);
  const wantsIpv6 = spec.ipv6 === true || spec.address6 !== undefined;
  if (!wantsIpv6 || isCarried) return isCarried;
  throw forwarding.hasIpv6 ? notForwarding(spec, "net.ipv6.conf.all.forwarding") : withoutIpv6();
}

/**
 * Reads what a bridge of the host is.
 *
 * @throws {@link WarderError} `interface-unfit` where it is none, or is down.
 */
export async function readBridge(host: Host, name: InterfaceName, bounds: Bounds): Promise<BridgeFacts> {
  const devices = parseDevices(await runTool(host, undefined, "ip", ["-j", "-d", "addr", "show"], bounds));
  const bridge = devices.find(({ ifname }) => ifname === name);
  const why =
    bridge === undefined
      ? "there is no such interface"
      : bridge.linkinfo?.info_kind !== "bridge"
        ? "it is no bridge"
        : bridge.flags.includes("UP")
          ? undefined
          : "it is down";
  if (bridge === undefined || why !== undefined) throw unfitBridge(name, why ?? "");
  const addresses = (device: typeof bridge) =>
    device.addr_info.flatMap(({ local, prefixlen }) =>
      local === undefined || prefixlen === undefined ? [] : [{ address: local as IpAddress, prefixLength: prefixlen }],
    );
  return { addresses: addresses(bridge), hostAddresses: devices.flatMap(addresses).map(({ address }) => address) };
}

/**
 * Where the host sends packets for a subnet, if that is anywhere but to VMs: a VM's address would hide somebody else's.
 * `undefined`: nowhere.
 */
export function conflictingRoute(host: Host, subnet: Cidr): string | undefined {
  const path = `${host.roots.proc}/net/route`;
  if (host.files.inspect(path) === undefined) return undefined;
  return parseRoutes(host.files.readText(path)).find(
    ({ device, range }) => !device.startsWith(OUTSIDE_PREFIX) && !range.endsWith("/0") && overlaps(range, subnet),
  )?.text;
}

interface HostRoute {
  readonly device: string;
  readonly range: Cidr;
  readonly text: string;
}

/** Reads `/proc/net/route`: addresses are hexadecimal numbers with the first byte last. Source: proc_pid_net(5). */
export function parseRoutes(text: string): HostRoute[] {
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([device, destination, , , , , , mask]) => {
      if (device === undefined || destination === undefined || mask === undefined) return [];
      const length = toBits(mask).replace(/0*$/, "").length;
      const range = toCidr(`${toIpv4(destination)}/${length}`);
      return [{ device, range, text: `${range} by ${device}` }];
    });
}

/** @throws {@link WarderError} `address-taken` where the host sends packets for VMs' addresses elsewhere. */
export function refuseConflicts(host: Host, specs: readonly NetworkSpec[], subnet: Cidr): void {
  const route = specs.some((spec) => uplinkKind(spec) === "routed") ? conflictingRoute(host, subnet) : undefined;
  if (route === undefined) return;
  throw new WarderError("address-taken", {
    doing: `taking addresses for VMs from ${subnet}`,
    why: `the host has a route of its own there: ${route}`,
    cure: "Set WARDER_NETWORK_IPV4_POOL to a range that nobody near this host uses",
  });
}

/**
 * Refuses to publish a port that a program of the host answers on: its clients would be led elsewhere.
 *
 * @throws {@link WarderError} `address-taken`.
 */
export function refuseBusyPorts(host: Host, id: VmId, { interfaces }: VmNetwork): void {
  const published = interfaces.flatMap(({ mode, policy }) => (mode === "bridge" ? [] : (policy?.published ?? [])));
  if (published.length === 0) return;
  const busy = listeners(host);
  const taken = published.find((port) => busy.some((each) => meets(port, each)));
  if (taken === undefined) return;
  throw new WarderError("address-taken", {
    doing: `publishing port ${taken.hostPort} of this host for ${id}`,
    why: `a program of the host answers there (see \`ss -lnp sport = :${taken.hostPort}\`)`,
    cure: "Use another port, or name none: `-p 80` takes one that is free",
  });
}

interface Listener {
  readonly protocol: string;
  readonly port: number;
  /** Absent: on all addresses. */
  readonly address?: Ipv4;
}

function meets({ protocol, hostPort, hostAddress }: PublishedPort, listener: Listener): boolean {
  if (protocol !== listener.protocol || hostPort !== listener.port) return false;
  return hostAddress === undefined || listener.address === undefined || hostAddress === listener.address;
}

/** Sockets that take what is sent to them unasked. Source: proc_net_tcp(5), of which UDP's file has the same form. */
function listeners(host: Host): Listener[] {
  return ["tcp", "tcp6", "udp", "udp6"].flatMap((name) => {
    const path = `${host.roots.proc}/net/${name}`;
    if (host.files.inspect(path) === undefined) return [];
    return parseListeners(name.slice(0, 3), host.files.readText(path, LISTENERS_MAX_BYTES));
  });
}

const LISTENERS_MAX_BYTES = 16 * 1024 * 1024;
const LISTENING: Readonly<Record<string, string>> = { tcp: "0A", udp: "07" };

/** Reads one of the kernel's lists of sockets. An address of IPv6 that is not all of them counts as all: it is rare. */
export function parseListeners(protocol: string, text: string): Listener[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , state] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (state !== LISTENING[protocol]) return [];
      const isAll = address.length > 8 || /^0*$/.test(address);
      return [{ protocol, port: Number.parseInt(port, 16), ...(isAll ? {} : { address: toIpv4(address) }) }];
    });
}

function toIpv4(hexadecimal: string): Ipv4 {
  return addressOf(4, BigInt(Buffer.from(hexadecimal, "hex").readUInt32LE()));
}

function toBits(hexadecimal: string): string {
  return Buffer.from(hexadecimal, "hex").readUInt32LE().toString(2).padStart(32, "0");
}

function notForwarding(spec: NetworkSpec, setting: string): WarderError {
  const what = spec.mode === "egress" ? "the internet" : (spec.allow.map(formatDestination)[0] ?? "published ports");
  return new WarderError("network-unavailable", {
    doing: `preparing an interface of the mode ${spec.mode}`,
    why: `the host forwards no packets (${setting} is 0), so ${what} can not be reached`,
    cure: `Run \`sysctl -w ${setting}=1\`, and write it to /etc/sysctl.d/; it makes the host a router, so look at its other rules first`,
  });
}

function withoutIpv6(): WarderError {
  return new WarderError("network-unavailable", {
    doing: "preparing an interface with IPv6",
    why: "the host has none",
    cure: "Leave `ipv6` out, or switch it on: `sysctl -w net.ipv6.conf.all.disable_ipv6=0`",
  });
}

function unfitBridge(name: string, why: string): WarderError {
  return new WarderError("interface-unfit", {
    doing: `looking at the bridge ${name}`,
    why,
    cure: `Make it: \`ip link add ${name} type bridge && ip link set ${name} up\`, with an address if VMs are to get theirs from its network`,
  });
}
