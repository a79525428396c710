import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { addressOf, type Ipv4, type Ipv6, toNumber } from "../vm/network/address.ts";
import { type Cidr, cidrAround, type InterfaceAddress, partsOf, toCidr } from "../vm/network/cidr.ts";
import { type InterfaceName, type NetworkName, toInterfaceName } from "../vm/network/names.ts";
import type { PublishedPort } from "../vm/network/published-port.ts";
import type { NetworkSpec } from "../vm/network/spec.ts";
import type {
  BridgedUplink,
  GuestAddress,
  InterfacePolicy,
  Uplink,
  VmInterface,
  VmNetwork,
} from "../vm/network/vm-network.ts";
import type { Leases } from "./leases.ts";
import { namespaceOf, needsNamespace } from "./namespace.ts";
import { bridgeName, interfaceNumber, macOf, outsideName, tapName } from "./numbers.ts";
import { isOurs, type PlannedInterface, uplinkKind } from "./planned-interface.ts";
import { type AddressPools, ALONE, gatewayIn, ipv6Beside, leasable, subnetsOf } from "./pools.ts";

/** What a VM's network is made from. */
export interface AllocationRequest {
  readonly id: VmId;
  readonly interfaces: readonly PlannedInterface[];
  readonly pools: AddressPools;
  readonly leases: Leases;
  /** Ports of the host for those that were published without saying which. */
  readonly hostPorts: { readonly first: number; readonly count: number };
}

/** The gateway of every guest in IPv6: link-local, so that it is never another's. */
const IPV6_GATEWAY = "fe80::1" as Ipv6;
const ATTEMPTS_MAX = 4;

/**
 * Gives every interface of a VM its names and addresses. Pure, but for the leases.
 *
 * @throws {@link WarderError} `addresses-exhausted`; `address-taken` where an address that was asked for is leased.
 */
export function allocateNetwork(request: AllocationRequest): VmNetwork {
  const { id, interfaces } = request;
  return {
    ...(needsNamespace(interfaces.map(({ spec }) => spec)) ? { namespace: namespaceOf(id) } : {}),
    interfaces: interfaces.map((planned, index) => allocateInterface(request, planned, index)),
  };
}

function allocateInterface(request: AllocationRequest, planned: PlannedInterface, index: number): VmInterface {
  const { spec } = planned;
  const number = leaseNumber(request, index);
  const base = {
    name: `eth${index}`,
    mode: spec.mode,
    mac: spec.mac ?? macOf("guest", number),
    tap: spec.tap ?? tapName(number),
    dns: spec.dns,
  };
  if (!isOurs(spec)) return { ...base, ...withUplink(request, planned, { number, index }) };
  const ipv4 = spec.mode === "bridge" ? bridgedIpv4(request, planned) : leasedIpv4(request, planned);
  const ipv6 = guestIpv6(request, planned, ipv4.address);
  return {
    ...base,
    ipv4,
    ...(ipv6 === undefined ? {} : { ipv6 }),
    ...withUplink(request, planned, { number, index, ipv4 }),
    policy: policyOf(request, planned),
  };
}

/** Unique among all interfaces of all VMs, and nearly always that of the first attempt. */
function leaseNumber({ id, leases }: AllocationRequest, index: number): number {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const number = interfaceNumber(id, index, attempt);
    // A VM may claim once more what it has: its own other interfaces' are left out here.
    const isOwn = Array.from({ length: index }, (_, before) => interfaceNumber(id, before)).includes(number);
    if (!isOwn && leases.claim("interface", number)) return number;
  }
  throw new WarderError("network-name-taken", {
    doing: `naming the interface eth${index} of ${id}`,
    why: `other VMs have all ${ATTEMPTS_MAX} names that it could have`,
    cure: "Use another id",
  });
}

function leasedIpv4(
  { id, pools, leases }: AllocationRequest,
  { spec, networkNumber }: PlannedInterface,
): GuestAddress<Ipv4> {
  const subnet = subnetsOf(pools, networkNumber ?? ALONE).ipv4;
  const range = leasable(subnet);
  const number = leases.lease("address4", range);
  if (number === undefined) throw exhausted(id, subnet, range.count);
  const { prefixLength } = partsOf(subnet);
  const address = addressOf(4, BigInt(number));
  return { address, prefixLength, ...(spec.mode === "network" ? {} : { gateway: gatewayIn(subnet) }) };
}

/** On a bridge of the host: the address that was asked for, or one of the bridge's own network. */
function bridgedIpv4(request: AllocationRequest, planned: PlannedInterface): GuestAddress<Ipv4> {
  const { spec, bridge } = planned;
  const own = bridge?.addresses.find(({ address }) => !address.includes(":"));
  const given = spec.address ?? leaseBeside(request, planned, own);
  if (spec.address !== undefined) claimAddress(request, planned, spec.address);
  const isNeighbour = own !== undefined && cidrAround(own) === cidrAround(given);
  const gateway = spec.gateway ?? (isNeighbour ? (own.address as Ipv4) : undefined);
  return {
    address: given.address as Ipv4,
    prefixLength: given.prefixLength,
    ...(gateway === undefined ? {} : { gateway }),
  };
}

function leaseBeside(
  { id, leases }: AllocationRequest,
  { spec, bridge }: PlannedInterface,
  own: InterfaceAddress | undefined,
): InterfaceAddress {
  if (own === undefined) {
    throw new WarderError("interface-unfit", {
      doing: `finding an address for ${id} on the bridge ${spec.bridge}`,
      why: "the bridge has no IPv4 address, so its network is not known",
      cure: "Give the VM an address: `--net bridge=NAME,address=192.168.7.11/24,gateway=192.168.7.1`",
    });
  }
  const subnet = cidrAround(own);
  const range = { first: Number(toNumber(partsOf(subnet).network)) + 1, count: 2 ** (32 - own.prefixLength) - 2 };
  for (let attempt = 0; attempt < ATTEMPTS_MAX && range.count > 0; attempt++) {
    const number = leases.lease("address4", range);
    if (number === undefined) break;
    const address = addressOf(4, BigInt(number));
    // What the host has there itself stays leased until the VM is gone, and the next one is taken.
    if (bridge?.hostAddresses.includes(address) !== true) return { address, prefixLength: own.prefixLength };
  }
  throw exhausted(id, subnet, range.count);
}

function claimAddress(
  { id, leases }: AllocationRequest,
  { bridge }: PlannedInterface,
  { address }: InterfaceAddress,
): void {
  const isHosts = bridge?.hostAddresses.includes(address) === true;
  if (!isHosts && leases.claim("address4", Number(toNumber(address)))) return;
  throw new WarderError("address-taken", {
    doing: `leasing the address ${address} to ${id}`,
    why: isHosts ? "the host has it" : "another VM has it",
    cure: "Use another address, or leave it out: the VM then gets one that is free",
  });
}

/** One address alone: all else goes by the gateway, which is the VM's own namespace. */
function guestIpv6(
  { pools }: AllocationRequest,
  { spec, hasIpv6 }: PlannedInterface,
  ipv4: Ipv4,
): GuestAddress<Ipv6> | undefined {
  if (!hasIpv6) return undefined;
  const address = spec.mode === "bridge" ? (spec.address6?.address as Ipv6 | undefined) : ipv6Beside(pools, ipv4);
  return address === undefined ? undefined : { address, prefixLength: 128, gateway: IPV6_GATEWAY };
}

function withUplink(
  request: AllocationRequest,
  planned: PlannedInterface,
  { number, index, ipv4 }: { number: number; index: number; ipv4?: GuestAddress<Ipv4> },
): { readonly uplink?: Uplink } {
  const kind = uplinkKind(planned.spec);
  const inside = toInterfaceName(kind === "cni" ? `eth${index}` : `veth${index}`);
  const cable = {
    outside: outsideName(number),
    outsideMac: macOf("outside", number),
    inside,
    insideMac: macOf("inside", number),
  };
  if (kind === "routed") return { uplink: { kind, ...cable } };
  if (kind === "cni" && planned.cni !== undefined)
    return { uplink: { kind, network: planned.cni.name, inside, config: planned.cni } };
  if (kind !== "bridged" || ipv4 === undefined) return {};
  const neighbours = planned.spec.mode === "network" ? fellowsOf(request, planned) : neighboursOf(planned, ipv4);
  return { uplink: { kind, ...cable, ...neighbours } };
}

type Neighbours = Pick<BridgedUplink, "bridge" | "network" | "subnets" | "gateways">;

function fellowsOf({ pools }: AllocationRequest, { spec, networkNumber, hasIpv6 }: PlannedInterface): Neighbours {
  const network = spec.network as NetworkName;
  const { ipv4, ipv6 } = subnetsOf(pools, networkNumber ?? ALONE);
  return {
    bridge: bridgeName(network),
    network,
    subnets: hasIpv6 && ipv6 !== undefined ? [ipv4, ipv6] : [ipv4],
    gateways: {},
  };
}

function neighboursOf({ spec, bridge }: PlannedInterface, ipv4: GuestAddress<Ipv4>): Neighbours {
  const own6 = bridge?.addresses.find(({ address }) => address.includes(":") && !address.startsWith("fe80:"));
  const { address6 } = spec;
  const isNeighbour6 = own6 !== undefined && address6 !== undefined && cidrAround(own6) === cidrAround(address6);
  const gateway6 = spec.gateway6 ?? (isNeighbour6 ? (own6.address as Ipv6) : undefined);
  return {
    bridge: spec.bridge as InterfaceName,
    subnets: [cidrAround(ipv4), ...(address6 === undefined ? [] : [cidrAround(address6)])],
    gateways: {
      ...(ipv4.gateway === undefined ? {} : { ipv4: ipv4.gateway }),
      ...(gateway6 === undefined ? {} : { ipv6: gateway6 }),
    },
  };
}

function policyOf(request: AllocationRequest, { spec, openings, bridge }: PlannedInterface): InterfacePolicy {
  const bases = { isolated: "nothing", egress: "public", bridge: "public", network: "fellows" } as const;
  return {
    base: bases[spec.mode as keyof typeof bases],
    openings,
    hostPorts: spec.allow.flatMap(({ to, ports, protocol }) =>
      to === "thisHost" && ports !== undefined
        ? [{ port: ports.first, protocol: protocol === "udp" ? "udp" : "tcp" }]
        : [],
    ),
    published: spec.publish.map((port) => ({ ...port, hostPort: hostPortOf(request, spec, port) })),
    closed: (bridge?.hostAddresses ?? []).map((address): Cidr => toCidr(address)),
    newConnectionsPerSecond: spec.newConnectionsPerSecond,
  };
}

/** On a bridge the VM answers itself. On the host a port is one VM's, on whichever addresses. */
function hostPortOf({ id, leases, hostPorts }: AllocationRequest, { mode }: NetworkSpec, port: PublishedPort): number {
  if (mode === "bridge") return port.guestPort;
  const claim = (number: number) => leases.claim("host-port", `${port.protocol}:${number}`);
  if (port.hostPort !== undefined) {
    if (claim(port.hostPort)) return port.hostPort;
    throw portTaken(
      id,
      port.hostPort,
      "another VM has it",
      "Use another port, or name none: `-p 80` takes one that is free",
    );
  }
  const candidates = Array.from({ length: hostPorts.count }, (_, index) => hostPorts.first + index);
  const number = candidates.find(claim);
  if (number !== undefined) return number;
  throw portTaken(
    id,
    hostPorts.first,
    `all ${hostPorts.count} from there on are in use`,
    "Widen WARDER_NETWORK_HOST_PORTS",
  );
}

function portTaken(id: VmId, port: number, why: string, cure: string): WarderError {
  return new WarderError("address-taken", { doing: `publishing port ${port} of this host for ${id}`, why, cure });
}

function exhausted(id: VmId, subnet: Cidr, count: number): WarderError {
  return new WarderError("addresses-exhausted", {
    doing: `leasing an address to ${id}`,
    why: `all ${count} of ${subnet} are in use`,
    cure: "Remove VMs that have ended, or widen the pool with WARDER_NETWORK_IPV4_POOL",
  });
}
