/**
 * What nftables' rules are made of, in the JSON that `nft -j` reads and prints: libnftables-json(5). As data, there is no
 * text into which something could be slipped; and what is read back has the same form, so that it can be compared.
 */
export type Statement = Readonly<Record<string, unknown>>;

/** A rule: statements in order, and what it is for. */
export interface Rule {
  readonly comment?: string;
  readonly statements: readonly Statement[];
}

/** A chain that the kernel calls, or one that rules jump to. */
export interface Chain {
  readonly name: string;
  readonly hook?: ChainHook;
  readonly rules: readonly Rule[];
}

/** Where the kernel calls a chain. */
export interface ChainHook {
  readonly type: "filter" | "nat";
  readonly hook: "ingress" | "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly priority: number;
  readonly policy: "accept" | "drop";
  /** Hook `ingress` only. */
  readonly device?: string;
}

/** A set of values that rules look into, filled apart from its table. */
export interface NamedSet {
  readonly name: string;
  readonly type: readonly string[];
}

/** A table: all of it is replaced at once, or nothing. */
export interface Table {
  readonly family: "inet" | "netdev";
  readonly name: string;
  /** Counters with a name, which rules and operators refer to. */
  readonly counters: readonly string[];
  readonly sets?: readonly NamedSet[];
  readonly chains: readonly Chain[];
}

export const accept: Statement = Object.freeze({ accept: null });
export const drop: Statement = Object.freeze({ drop: null });
export const masquerade: Statement = Object.freeze({ masquerade: null });
/** Counts for this rule alone. */
export const counted: Statement = Object.freeze({ counter: null });

export function rule(...statements: readonly Statement[]): Rule {
  return { statements };
}

export function named(comment: string, ...statements: readonly Statement[]): Rule {
  return { comment, statements };
}

/** Counts in a named counter of the table. */
export function countIn(name: string): Statement {
  return { counter: name };
}

export function jump(target: string): Statement {
  return { jump: { target } };
}

/** A field of a packet: `ip saddr`. */
export function field(protocol: string, name: string): unknown {
  return { payload: { protocol, field: name } };
}

/** What the kernel knows about a packet: `iifname`. */
export function meta(key: string): unknown {
  return { meta: { key } };
}

export function equal(left: unknown, right: unknown): Statement {
  return { match: { op: "==", left, right } };
}

export function different(left: unknown, right: unknown): Statement {
  return { match: { op: "!=", left, right } };
}

/** The state of the connection that a packet is of. */
export function connectionIs(...states: readonly ("new" | "established" | "related" | "invalid")[]): Statement {
  return { match: { op: "in", left: { ct: { key: "state" } }, right: states.length === 1 ? states[0] : states } };
}

/** What a packet's destination is to this host: `local`, `unicast` … */
export function destinationType(...types: readonly string[]): Statement {
  const left = { fib: { result: "type", flags: ["daddr"] } };
  return equal(left, types.length === 1 ? types[0] : { set: types });
}

/** A range or an address, in the form that nft prints: a range of one address is none to it. */
export function rangeOf(cidr: string): unknown {
  const [addr = "", length] = cidr.split("/");
  return length === undefined || length === (addr.includes(":") ? "128" : "32")
    ? addr
    : { prefix: { addr, len: Number(length) } };
}

/** `ip` or `ip6`, as rules call the protocol of an address. */
export function protocolOf(address: string): "ip" | "ip6" {
  return address.includes(":") ? "ip6" : "ip";
}
