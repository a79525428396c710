import type { Brand } from "../brand.ts";

/** A unicast hardware address in lower case: `02:fc:00:00:00:01`. */
export type MacAddress = Brand<string, "MacAddress">;

/** Says what is wrong with a hardware address, or `undefined`. */
export function macProblem(value: string): string | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value))
    return "must be six pairs of hexadecimal digits with colons between";
  if ((Number.parseInt(value.slice(0, 2), 16) & 1) === 1)
    return "must not be a multicast address: its first byte is odd";
  return /^(00:){5}00$/.test(value) ? "must not be all zero" : undefined;
}

/** Makes a {@link MacAddress}; throws a RangeError naming the problem. */
export function toMac(value: string): MacAddress {
  const problem = macProblem(value);
  if (problem !== undefined) throw new RangeError(`hardware address ${JSON.stringify(value)} ${problem}`);
  return value.toLowerCase() as MacAddress;
}
