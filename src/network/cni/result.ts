import * as z from "zod";
import { addressProblem, type Ipv4, type Ipv6, isIpv4, toAddress } from "../../vm/network/address.ts";
import { interfaceAddressProblem, toInterfaceAddress } from "../../vm/network/cidr.ts";
import { type MacAddress, macProblem, toMac } from "../../vm/network/mac.ts";
import type { GuestAddress } from "../../vm/network/vm-network.ts";

const result = z.looseObject({
  interfaces: z
    .array(z.looseObject({ name: z.string(), mac: z.string().optional(), sandbox: z.string().optional() }))
    .default([]),
  ips: z
    .array(z.looseObject({ address: z.string(), gateway: z.string().optional(), interface: z.number().optional() }))
    .default([]),
});

/** What a guest is to be, by what the plugins said. */
export interface CniAddresses {
  readonly mac: MacAddress;
  readonly ipv4?: GuestAddress<Ipv4>;
  readonly ipv6?: GuestAddress<Ipv6>;
}

/**
 * Reads what the last plugin of a chain printed: the interface in the namespace, and its addresses.
 *
 * @throws RangeError where it says nothing that a guest could be given.
 */
export function readCniResult(printed: unknown, inside: string): CniAddresses {
  const parsed = result.safeParse(printed);
  if (!parsed.success) throw new RangeError("the plugins' result has not the form of the specification");
  const { interfaces, ips } = parsed.data;
  const index = interfaces.findIndex(({ name, sandbox }) => name === inside && sandbox !== undefined && sandbox !== "");
  const mac = interfaces[index]?.mac ?? "";
  if (index < 0 || macProblem(mac) !== undefined) throw new RangeError(`the plugins made no interface ${inside}`);
  const own = ips.filter((each) => each.interface === undefined || each.interface === index);
  const guests = own.flatMap(({ address, gateway }) => toGuest(address, gateway));
  const ipv4 = guests.find(({ address }) => isIpv4(address)) as GuestAddress<Ipv4> | undefined;
  const ipv6 = guests.find(({ address }) => !isIpv4(address)) as GuestAddress<Ipv6> | undefined;
  return { mac: toMac(mac), ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}

function toGuest(text: string, gateway: string | undefined): GuestAddress<Ipv4 | Ipv6>[] {
  if (interfaceAddressProblem(text) !== undefined)
    throw new RangeError(`the plugins gave ${JSON.stringify(text)}, which is no address`);
  const isGateway = gateway !== undefined && addressProblem(gateway) === undefined;
  return [{ ...toInterfaceAddress(text), ...(isGateway ? { gateway: toAddress(gateway) } : {}) }];
}
