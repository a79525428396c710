import { createHash } from "node:crypto";
import type { VmId } from "../vm/id.ts";
import { type MacAddress, toMac } from "../vm/network/mac.ts";
import { type InterfaceName, type NetworkName, toInterfaceName } from "../vm/network/names.ts";

/**
 * What the names and hardware addresses of one interface of a VM are made from: 32 bits of a hash of its id, the same
 * at every start, so that guests keep their address and operators find their devices. Two of a thousand VMs share one
 * with a chance of 1 in 10 000: it is leased, and the next attempt gives another.
 */
export function interfaceNumber(id: VmId, index: number, attempt = 0): number {
  const text = `${id}${index === 0 ? "" : `/${index}`}${attempt === 0 ? "" : `#${attempt}`}`;
  return hash(text);
}

/** The device that Firecracker opens: `tap-0b1c2d3e`. */
export function tapName(number: number): InterfaceName {
  return toInterfaceName(`tap-${digits(number)}`);
}

/** What the host's ends of all VMs' cables begin with; the guard's rules know them by it. */
export const OUTSIDE_PREFIX = "wrd-";

/** The host's end of a VM's cable: `wrd-0b1c2d3e`. */
export function outsideName(number: number): InterfaceName {
  return toInterfaceName(`${OUTSIDE_PREFIX}${digits(number)}`);
}

/** What the bridges of all networks of VMs begin with. */
export const BRIDGE_PREFIX = "wrb-";

/** The bridge of a network of VMs: `wrb-0b1c2d3e`. */
export function bridgeName(network: NetworkName): InterfaceName {
  return toInterfaceName(`${BRIDGE_PREFIX}${digits(hash(network))}`);
}

/** Locally administered, and another for each of the three places in which the VM has one. */
const macPrefixes = { guest: "02:fc", outside: "06:fc", inside: "0a:fc" } as const;

/** A hardware address: the guest's, or that of an end of its cable. */
export function macOf(place: keyof typeof macPrefixes, number: number): MacAddress {
  return toMac(`${macPrefixes[place]}:${digits(number).replaceAll(/..(?=.)/g, "$&:")}`);
}

function hash(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE();
}

function digits(number: number): string {
  return number.toString(16).padStart(8, "0");
}
