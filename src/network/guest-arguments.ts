import type { Ipv4 } from "../vm/network/address.ts";
import { isIpv4 } from "../vm/network/address.ts";
import type { VmInterface, VmNetwork } from "../vm/network/vm-network.ts";

/**
 * Kernel arguments by which a guest gets its addresses before its first program runs, added to those that the caller
 * gave. The kernel itself reads `ip=` and sets up the first interface with it (Documentation/admin-guide/nfs/nfsroot.rst);
 * `warder.ethN=` has the addresses of every interface, in the same order for each, for a guest's own scripts:
 * `address/length,gateway` of IPv4, then of IPv6, each empty where there is none.
 *
 * A caller's own `ip=` stays alone. Words after ` -- ` are the guest's first program's, and stay last. Pure.
 */
export function withNetworkArguments(bootArgs: string, { interfaces }: VmNetwork): string {
  const [, kernel = bootArgs, rest = ""] = /^(.*?)( -- .*)?$/s.exec(bootArgs) ?? [];
  const [first] = interfaces;
  const hasOwn = /(^|\s)ip=/.test(kernel);
  const added = [...(hasOwn || first === undefined ? [] : ipArgument(first)), ...interfaces.flatMap(ownArgument)];
  return [kernel, ...added].filter((part) => part !== "").join(" ") + rest;
}

/** `ip=<client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>:<dns0>:<dns1>` */
function ipArgument({ name, ipv4, dns }: VmInterface): string[] {
  if (ipv4 === undefined) return [];
  const resolvers = dns.filter(isIpv4).map((address) => `:${address}`);
  return [`ip=${ipv4.address}::${ipv4.gateway ?? ""}:${netmask(ipv4.prefixLength)}::${name}:off${resolvers.join("")}`];
}

function ownArgument({ name, ipv4, ipv6 }: VmInterface): string[] {
  if (ipv4 === undefined && ipv6 === undefined) return [];
  const text = (guest: typeof ipv4 | typeof ipv6) =>
    guest === undefined ? "," : `${guest.address}/${guest.prefixLength},${guest.gateway ?? ""}`;
  return [`warder.${name}=${text(ipv4)},${text(ipv6)}`];
}

function netmask(prefixLength: number): Ipv4 {
  const bytes = [0, 8, 16, 24].map((before) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefixLength - before))));
  return bytes.join(".") as Ipv4;
}
