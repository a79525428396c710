import type { Cidr } from "../vm/network/cidr.ts";

/**
 * IPv4 ranges that are not the public internet, merged where they touch: private networks, this host, link-local ones
 * with the metadata services of clouds (169.254.169.254), carriers' own, tests and documentation, multicast, reserved.
 *
 * Source: IANA IPv4 Special-Purpose Address Registry; RFC 5771 for multicast.
 */
export const closedIpv4: readonly Cidr[] = ranges(
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // A public address that is a cloud's own to its machines (Azure's WireServer), as 169.254.169.254 is.
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
);

/** What is the public internet of IPv6; all else is closed. Source: IANA IPv6 Address Space. */
export const globalIpv6 = "2000::/3" as Cidr;

/**
 * Ranges of {@link globalIpv6} that are not the public internet: protocol assignments with Teredo, documentation, and
 * 6to4, in whose addresses closed ones of IPv4 can hide.
 *
 * Source: IANA IPv6 Special-Purpose Address Registry.
 */
export const closedIpv6: readonly Cidr[] = ranges("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20");

function ranges(...texts: readonly string[]): readonly Cidr[] {
  return Object.freeze(texts) as readonly Cidr[];
}
