/** Protocols that have ports. */
export type PortProtocol = "tcp" | "udp";

/** What may pass by a rule: one protocol, or `any`. */
export type Protocol = PortProtocol | "icmp" | "any";

/** Ports from the first to the last, both included; equal where it is one. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Reads `443` or `8000-8100`; a text that is neither gives what is wrong with it. */
export function readPorts(text: string): PortRange | string {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last) };
  if (first === undefined || range.first < 1 || range.last > 65_535) return "must have ports from 1 to 65535";
  return range.first > range.last ? "must have the lower port before the higher one" : range;
}

/** `443` or `8000-8100`. */
export function formatPorts({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}
