import { addressBits, addressOf, type Ipv4, type Ipv6, toNumber } from "../vm/network/address.ts";
import { addressAt, type Cidr, partsOf, sizeOf } from "../vm/network/cidr.ts";

/** Where VMs' addresses come from. */
export interface AddressPools {
  /**
   * Of /22 and shorter, the first half is for VMs on their own, and the second is cut into a /24 for each network of VMs;
   * a longer one is for VMs on their own alone.
   */
  readonly ipv4: Cidr;
  /** Has an address beside each of {@link ipv4}, in the same order, if it is large enough. */
  readonly ipv6: Cidr;
}

/** The subnets of VMs on their own, or of one network of VMs. */
export interface Subnets {
  readonly ipv4: Cidr;
  /** Absent where the IPv6 pool has fewer addresses than the IPv4 pool. */
  readonly ipv6?: Cidr;
}

/** The number of the subnets whose VMs are on their own; networks of VMs are numbered from 1. */
export const ALONE = 0;

const NETWORK_PREFIX_LENGTH = 24;
/** The longest pool of which a half holds two networks. */
const LONGEST_WITH_NETWORKS = 22;

/** How many networks of VMs there is room for. */
export function networksMax({ ipv4 }: AddressPools): number {
  const { prefixLength } = partsOf(ipv4);
  return prefixLength > LONGEST_WITH_NETWORKS ? 0 : 2 ** (NETWORK_PREFIX_LENGTH - 1 - prefixLength);
}

/** The subnets with a number: {@link ALONE}, or that of a network of VMs. */
export function subnetsOf(pools: AddressPools, number: number): Subnets {
  if (number > networksMax(pools)) throw new RangeError(`${pools.ipv4} has no network ${number}`);
  const ipv4 = number === ALONE ? halfOf(pools) : networkIn(pools, number);
  const ipv6 = besideSubnet(pools, ipv4);
  return { ipv4, ...(ipv6 === undefined ? {} : { ipv6 }) };
}

/** The address that VMs of a subnet send to when they send elsewhere: the first one. */
export function gatewayIn(subnet: Cidr): Ipv4 {
  return addressAt(subnet, 1n) as Ipv4;
}

/** The addresses of a subnet that VMs may have, as the numbers that are leased: all but the first two and the last. */
export function leasable(subnet: Cidr): { readonly first: number; readonly count: number } {
  return { first: Number(toNumber(partsOf(subnet).network)) + 2, count: Number(sizeOf(subnet)) - 3 };
}

/** The IPv6 address beside an IPv4 address of the pool: nobody else's, as the latter is not. */
export function ipv6Beside(pools: AddressPools, ipv4: Ipv4): Ipv6 | undefined {
  if (!isRoomy(pools)) return undefined;
  return addressOf(6, toNumber(partsOf(pools.ipv6).network) + offsetOf(pools, ipv4));
}

function halfOf(pools: AddressPools): Cidr {
  const { network, prefixLength } = partsOf(pools.ipv4);
  return `${network}/${networksMax(pools) === 0 ? prefixLength : prefixLength + 1}` as Cidr;
}

function networkIn({ ipv4 }: AddressPools, number: number): Cidr {
  const size = 1n << BigInt(addressBits[4] - NETWORK_PREFIX_LENGTH);
  return `${addressAt(ipv4, sizeOf(ipv4) / 2n + BigInt(number - 1) * size)}/${NETWORK_PREFIX_LENGTH}` as Cidr;
}

/** As far into the IPv6 pool, and as large, as the IPv4 subnet in its pool. */
function besideSubnet(pools: AddressPools, ipv4: Cidr): Cidr | undefined {
  const { network, prefixLength } = partsOf(ipv4);
  const first = ipv6Beside(pools, network as Ipv4);
  return first === undefined ? undefined : (`${first}/${addressBits[6] - addressBits[4] + prefixLength}` as Cidr);
}

function isRoomy({ ipv4, ipv6 }: AddressPools): boolean {
  return sizeOf(ipv6) >= sizeOf(ipv4);
}

function offsetOf({ ipv4 }: AddressPools, address: Ipv4): bigint {
  return toNumber(address) - toNumber(partsOf(ipv4).network);
}
