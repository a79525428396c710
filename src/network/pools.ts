import { addressOf, type Ipv4, type Ipv6, toNumber } from "../vm/network/address.ts";
import { addressAt, type Cidr, partsOf, sizeOf } from "../vm/network/cidr.ts";

/** Where VMs' addresses come from. */
export interface AddressPools {
  /** /8 to /22. Its first half is for VMs on their own; the second is cut into a /24 for each network of VMs. */
  readonly ipv4: Cidr;
  /** /48 to /56, cut into a /64 each in the same way. */
  readonly ipv6: Cidr;
}

/** Private (RFC 1918), and out of the way of what Docker, Kubernetes and cloud providers take by default. */
export const defaultPools: AddressPools = Object.freeze({
  ipv4: "10.231.0.0/16" as Cidr,
  ipv6: "fd77:6172:6465::/48" as Cidr,
});

/** The subnets of VMs on their own, or of one network of VMs. */
export interface Subnets {
  readonly ipv4: Cidr;
  readonly ipv6: Cidr;
}

/** The number of the subnets whose VMs are on their own; networks of VMs are numbered from 1. */
export const ALONE = 0;

const NETWORK_PREFIX_LENGTH = 24;
/** A /56 has so many /64. */
const IPV6_SUBNETS_MAX = 256;

/** How many networks of VMs there is room for. */
export function networksMax({ ipv4 }: AddressPools): number {
  return Math.min(2 ** (NETWORK_PREFIX_LENGTH - 1 - partsOf(ipv4).prefixLength), IPV6_SUBNETS_MAX - 1);
}

/** The subnets with a number: {@link ALONE}, or that of a network of VMs. */
export function subnetsOf(pools: AddressPools, number: number): Subnets {
  if (number > networksMax(pools)) throw new RangeError(`${pools.ipv4} has no network ${number}`);
  const ipv6 = `${addressAt(pools.ipv6, BigInt(number) << 64n)}/64` as Cidr;
  const half = sizeOf(pools.ipv4) / 2n;
  if (number === ALONE)
    return { ipv4: `${partsOf(pools.ipv4).network}/${partsOf(pools.ipv4).prefixLength + 1}` as Cidr, ipv6 };
  return { ipv4: `${addressAt(pools.ipv4, half + BigInt(number - 1) * 256n)}/${NETWORK_PREFIX_LENGTH}` as Cidr, ipv6 };
}

/** The address that VMs of a subnet send to when they send elsewhere: the first one. */
export function gatewayIn(subnet: Cidr): Ipv4 {
  return addressAt(subnet, 1n) as Ipv4;
}

/** The addresses of a subnet that VMs may have, as the numbers that are leased: all but the first two and the last. */
export function leasable(subnet: Cidr): { readonly first: number; readonly count: number } {
  return { first: Number(toNumber(partsOf(subnet).network)) + 2, count: Number(sizeOf(subnet)) - 3 };
}

/** The IPv6 address beside an IPv4 address: nobody else's, as the latter is not. */
export function ipv6Beside(subnet: Cidr, ipv4: Ipv4): Ipv6 {
  return addressOf(6, toNumber(partsOf(subnet).network) + toNumber(ipv4));
}

/** Says what is wrong with a pool, or `undefined`. */
export function poolProblem(pool: Cidr, family: 4 | 6): string | undefined {
  const { prefixLength, family: found } = partsOf(pool);
  const [least, most] = family === 4 ? [8, 22] : [48, 56];
  const isFit = found === family && prefixLength >= least && prefixLength <= most;
  return isFit ? undefined : `must be an IPv${family} range of /${least} to /${most}`;
}
