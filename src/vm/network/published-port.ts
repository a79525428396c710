import { addressProblem, familyOf, type IpAddress, isIpv4, toAddress } from "./address.ts";
import { type PortProtocol, readPorts } from "./port.ts";

/** A port of the host that leads to one of the VM's. */
export interface PublishedPort {
  /** Address of the host on which it answers. Absent: all, of both families. */
  readonly hostAddress?: IpAddress;
  /** Absent: one that no other VM has. */
  readonly hostPort?: number;
  readonly guestPort: number;
  readonly protocol: PortProtocol;
}

/**
 * Reads `[[ADDRESS:]HOSTPORT:]GUESTPORT[/tcp|/udp]`; an IPv6 address stands in brackets.
 *
 * @returns What is wrong with it, as a clause, where it is no published port.
 */
export function readPublishedPort(text: string): PublishedPort | string {
  const form = /^(?:(?:(?:\[([^\]]*)\]|([0-9.]+)):)?(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp))?$/;
  const [matched, ipv6, address = ipv6, host, guest = "", protocol = "tcp"] = form.exec(text) ?? [];
  if (matched === undefined) return "must be [[ADDRESS:]HOSTPORT:]GUESTPORT[/udp], such as 8080:80";
  const hostPort = host === undefined ? undefined : readPorts(host);
  const guestPort = readPorts(guest);
  if (typeof hostPort === "string") return hostPort;
  if (typeof guestPort === "string") return guestPort;
  const problem = address === undefined ? undefined : hostAddressProblem(address);
  if (problem !== undefined) return problem;
  return {
    ...(address === undefined || isUnspecified(address) ? {} : { hostAddress: toAddress(address) }),
    ...(hostPort === undefined ? {} : { hostPort: hostPort.first }),
    guestPort: guestPort.first,
    protocol: protocol as PortProtocol,
  };
}

/** The text that {@link readPublishedPort} reads. */
export function formatPublishedPort({ hostAddress, hostPort, guestPort, protocol }: PublishedPort): string {
  const written = hostAddress === undefined || isIpv4(hostAddress) ? hostAddress : `[${hostAddress}]`;
  const host = hostPort === undefined ? "" : `${hostPort}:`;
  return `${written === undefined ? "" : `${written}:`}${host}${guestPort}/${protocol}`;
}

/** Whether two published ports would be the same port of the host. */
export function isSameHostPort(one: PublishedPort, other: PublishedPort): boolean {
  if (one.hostPort === undefined || one.protocol !== other.protocol || one.hostPort !== other.hostPort) return false;
  const hasWildcard = one.hostAddress === undefined || other.hostAddress === undefined;
  return hasWildcard || one.hostAddress === other.hostAddress;
}

/** Only the host itself can reach it: an address of 127.0.0.0/8. */
export function isLoopbackOnly({ hostAddress }: PublishedPort): boolean {
  return hostAddress?.startsWith("127.") === true;
}

function hostAddressProblem(address: string): string | undefined {
  if (/^(::1|0*(:0*)*:0*1)$/.test(address))
    return "must not be on ::1: the kernel routes nothing from there to a VM; use 127.0.0.1";
  const problem = addressProblem(address);
  if (problem !== undefined) return problem;
  const isMulticast = familyOf(toAddress(address)) === 4 ? Number.parseInt(address, 10) >= 224 : /^ff/i.test(address);
  return isMulticast ? "must be an address of the host" : undefined;
}

function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || toAddress(address) === "::";
}
