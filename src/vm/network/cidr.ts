import type { Brand } from "../brand.ts";
import {
  addressBits,
  addressOf,
  addressProblem,
  canonical,
  familyOf,
  type IpAddress,
  type IpFamily,
  toNumber,
} from "./address.ts";

/** A range of addresses, always with its length: `10.0.0.0/8`; a single address is `10.0.0.1/32`. */
export type Cidr = Brand<string, "Cidr">;

/** An address with the length of its network, as an interface has it: `10.0.0.7/24`. */
export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/**
 * Says what is wrong with a range, or `undefined`. Bits beyond its length are refused: `10.1.2.3/8` is either one
 * address or all of `10.0.0.0/8`, and which of them was meant is not to be guessed where doors are opened.
 */
export function cidrProblem(text: string): string | undefined {
  const problem = interfaceAddressProblem(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  if (problem !== undefined) return problem;
  const { address, prefixLength } = split(text);
  const network = networkOf(address, prefixLength);
  return network === address
    ? undefined
    : `has bits beyond its length: ${network}/${prefixLength} would be the whole range`;
}

/** Makes a {@link Cidr} of a range or a single address; throws a RangeError naming the problem. */
export function toCidr(text: string): Cidr {
  const problem = cidrProblem(text);
  if (problem !== undefined) throw new RangeError(`range ${JSON.stringify(text)} ${problem}`);
  const { address, prefixLength } = split(text);
  return `${address}/${prefixLength}` as Cidr;
}

/** Says what is wrong with an address with the length of its network, or `undefined`. */
export function interfaceAddressProblem(text: string): string | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const problem = addressProblem(address);
  if (problem !== undefined) return problem;
  const most = addressBits[familyOf(address as IpAddress)];
  const isLength = length !== undefined && /^\d{1,3}$/.test(length) && Number(length) <= most && rest.length === 0;
  return isLength ? undefined : `must have a length after the slash, 0 to ${most}`;
}

/** Makes an {@link InterfaceAddress}; throws a RangeError naming the problem. */
export function toInterfaceAddress(text: string): InterfaceAddress {
  const problem = interfaceAddressProblem(text);
  if (problem !== undefined) throw new RangeError(`address ${JSON.stringify(text)} ${problem}`);
  return split(text);
}

/** Total: the first address of a range, and its length. */
export function partsOf(cidr: Cidr): {
  readonly family: IpFamily;
  readonly network: IpAddress;
  readonly prefixLength: number;
} {
  const { address, prefixLength } = split(cidr);
  return { family: familyOf(address), network: address, prefixLength };
}

/** The range that an address and a length are in. */
export function cidrAround({ address, prefixLength }: InterfaceAddress): Cidr {
  return `${networkOf(address, prefixLength)}/${prefixLength}` as Cidr;
}

/** How many addresses a range has. */
export function sizeOf(cidr: Cidr): bigint {
  const { family, prefixLength } = partsOf(cidr);
  return 1n << BigInt(addressBits[family] - prefixLength);
}

/** The address at a distance from the first; throws a RangeError where it lies outside. */
export function addressAt(cidr: Cidr, offset: bigint): IpAddress {
  if (offset < 0n || offset >= sizeOf(cidr)) throw new RangeError(`${cidr} has no address at ${offset}`);
  const { family, network } = partsOf(cidr);
  return addressOf(family, toNumber(network) + offset);
}

/** Whether an address lies in a range. */
export function contains(cidr: Cidr, address: IpAddress): boolean {
  const { family, network, prefixLength } = partsOf(cidr);
  return familyOf(address) === family && networkOf(address, prefixLength) === network;
}

/** Whether two ranges have an address in common. */
export function overlaps(one: Cidr, other: Cidr): boolean {
  return contains(one, partsOf(other).network) || contains(other, partsOf(one).network);
}

/** Of a text in which nothing is wrong. */
function split(text: string): InterfaceAddress {
  const [written = "", length] = text.split("/");
  const address = canonical(written);
  return { address, prefixLength: length === undefined ? addressBits[familyOf(address)] : Number(length) };
}

function networkOf(address: IpAddress, prefixLength: number): IpAddress {
  const family = familyOf(address);
  const rest = BigInt(addressBits[family] - prefixLength);
  return addressOf(family, (toNumber(address) >> rest) << rest);
}
