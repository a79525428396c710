import type { Brand } from "../brand.ts";
import { type Cidr, cidrProblem, partsOf, toCidr } from "./cidr.ts";
import { formatPorts, type PortRange, type Protocol, readPorts } from "./port.ts";

/** A host's name in lower case, which has a letter in it: `db.example.com`. */
export type HostName = Brand<string, "HostName">;

/** Where a VM may send to beyond what its mode opens. */
export interface Destination {
  /**
   * A range of addresses; a host that is looked up once, when the VM starts; or `thisHost`, whose ports the VM finds at
   * the address of its gateway.
   */
  readonly to: { readonly range: Cidr } | { readonly host: HostName } | "thisHost";
  readonly protocol: Protocol;
  /** Absent: all ports. */
  readonly ports?: PortRange;
}

const NO_HOST = "must be an address, a range or a host's name";

/** The word for the machine that the VM runs on. */
const THIS_HOST = "host";

/**
 * Reads `HOST[:PORT[-PORT]][/tcp|/udp|/icmp]`, where HOST is an address, a range, a name, or the word `host` for the
 * machine that the VM runs on; an IPv6 address before a port stands in brackets. Ports without a protocol are TCP's;
 * without ports, all protocols are meant.
 *
 * @example
 * readDestination("10.0.0.0/8"); readDestination("db.example.com:5432"); readDestination("[fd00::1]:53/udp");
 * readDestination("host:3128");
 * @returns What is wrong with it, as a clause, where it is no destination.
 */
export function readDestination(text: string): Destination | string {
  const [, rest = "", protocol] = /^(.*?)(?:\/(tcp|udp|icmp))?$/s.exec(text) ?? [];
  const [, bracketed, plain = bracketed ?? "", portText] =
    /^(?:\[([^\]]*)\]|(.*?))(?::(\d[\d-]*))?$/s.exec(asHost(rest)) ?? [];
  const host = readHost(plain);
  if ("problem" in host) return host.problem;
  const ports = portText === undefined ? undefined : readPorts(portText);
  if (typeof ports === "string") return ports;
  if (host.to === "thisHost" && (ports === undefined || ports.first !== ports.last))
    return "must have one port: `host:3128`";
  if (ports !== undefined && protocol === "icmp") return "must not have ports: ICMP has none";
  const meant = (protocol ?? (ports === undefined ? "any" : "tcp")) as Protocol;
  return { to: host.to, protocol: meant, ...(ports === undefined ? {} : { ports }) };
}

/** The text that {@link readDestination} reads. */
export function formatDestination({ to, protocol, ports }: Destination): string {
  return `${formatHost(to)}${ports === undefined ? "" : `:${formatPorts(ports)}`}${protocol === "any" ? "" : `/${protocol}`}`;
}

/** Says what is wrong with a host's name, or `undefined`. */
export function hostNameProblem(value: string): string | undefined {
  const isName =
    value.length <= 253 && value.split(".").every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
  // What looks like numbers was meant to be an address, whatever a resolver would make of it.
  return isName && /[a-z]/i.test(value.split(".").at(-1) ?? "") ? undefined : NO_HOST;
}

/** An IPv6 address without brackets has no ports: its colons are its own. */
function asHost(text: string): string {
  return !text.startsWith("[") && text.split(":").length > 2 ? `[${text}]` : text;
}

function readHost(text: string): { readonly to: Destination["to"] } | { readonly problem: string } {
  if (text === THIS_HOST) return { to: "thisHost" };
  const isName = !/[:/]/.test(text) && hostNameProblem(text) === undefined;
  if (isName) return { to: { host: text.toLowerCase() as HostName } };
  if (!/^[0-9a-f:./]+$/i.test(text)) return { problem: NO_HOST };
  const problem = cidrProblem(text) ?? loopbackProblem(text);
  return problem === undefined ? { to: { range: toCidr(text) } } : { problem };
}

/** Whoever opens this means the host's, which is elsewhere for a guest. */
function loopbackProblem(text: string): string | undefined {
  return text.startsWith("127.")
    ? "must not be in 127.0.0.0/8, which is the guest itself: `host:PORT` is this machine"
    : undefined;
}

function formatHost(to: Destination["to"]): string {
  if (to === "thisHost") return THIS_HOST;
  if ("host" in to) return to.host;
  return partsOf(to.range).family === 6 ? `[${to.range}]` : to.range;
}
