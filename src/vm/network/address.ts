import type { Brand } from "../brand.ts";
import { ipLibrary } from "./ip-library.ts";

/** An IPv4 address in its one canonical form: `10.0.0.1`. */
export type Ipv4 = Brand<string, "Ipv4">;

/** An IPv6 address in its one canonical form (RFC 5952): `fd00::1`. */
export type Ipv6 = Brand<string, "Ipv6">;

export type IpAddress = Ipv4 | Ipv6;

/** Version of the Internet Protocol. */
export type IpFamily = 4 | 6;

/** Length of an address. */
export const addressBits: Readonly<Record<IpFamily, number>> = Object.freeze({ 4: 32, 6: 128 });

/**
 * Says what is wrong with an IP address, or `undefined`. Only the dotted form with four decimal numbers is IPv4:
 * `010.0.0.1` is another address to every other program, and IPv6 forms that hold an IPv4 address would be a second
 * name for it, which no rule about the first covers.
 */
export function addressProblem(text: string): string | undefined {
  const { IPv4, IPv6 } = ipLibrary();
  if (IPv4.isValidFourPartDecimal(text)) return undefined;
  if (!text.includes(":") || text.includes("%") || !IPv6.isValid(text)) return "must be an IPv4 or IPv6 address";
  const holdsIpv4 = IPv6.parse(text).match(IPv6.parse("::"), 80);
  return holdsIpv4 && !isUnspecified(text) ? "must not be an IPv6 form of an IPv4 address, nor ::1" : undefined;
}

/** Makes an {@link IpAddress}; throws a RangeError naming the problem. */
export function toAddress(text: string): IpAddress {
  const problem = addressProblem(text);
  if (problem !== undefined) throw new RangeError(`address ${JSON.stringify(text)} ${problem}`);
  return canonical(text);
}

/** Total: the one form of a text that is an address already. */
export function canonical(text: string): IpAddress {
  return ipLibrary().parse(text).toString() as IpAddress;
}

export function familyOf(address: IpAddress): IpFamily {
  return isIpv4(address) ? 4 : 6;
}

export function isIpv4(address: IpAddress): address is Ipv4 {
  return !address.includes(":");
}

/** Total: the address as a number of 32 or 128 bits. */
export function toNumber(address: IpAddress): bigint {
  const bytes = ipLibrary().parse(address).toByteArray();
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/** The address that a number stands for; throws a RangeError where it has too many bits. */
export function addressOf(family: 4, number: bigint): Ipv4;
export function addressOf(family: 6, number: bigint): Ipv6;
export function addressOf(family: IpFamily, number: bigint): IpAddress;
export function addressOf(family: IpFamily, number: bigint): IpAddress {
  const bits = addressBits[family];
  if (number < 0n || number >> BigInt(bits) !== 0n) throw new RangeError(`${number} is no IPv${family} address`);
  const bytes = Array.from({ length: bits / 8 }, (_, index) =>
    Number((number >> BigInt(bits - 8 - 8 * index)) & 0xffn),
  );
  return ipLibrary().fromByteArray(bytes).toString() as IpAddress;
}

function isUnspecified(text: string): boolean {
  return toNumber(text as IpAddress) === 0n;
}
