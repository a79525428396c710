import type { FieldProblem } from "../vm/error.ts";
import type { NetworkInput } from "../vm/network/spec.ts";
import type { Parsed, Parser } from "./flags.ts";

/** An interface as `--net` describes it, not yet looked at. */
export type NetFlag = Exclude<NetworkInput, string>;

/** The word for a network namespace with nothing in it. */
const NONE = "none";

const MODES: Readonly<Record<string, "bridge" | "network" | undefined>> = {
  isolated: undefined,
  egress: undefined,
  bridge: "bridge",
  network: "network",
};
const OPTIONS = new Set(["address", "gateway", "address6", "gateway6", "mac"]);

/**
 * `none`, or `MODE[=NAME][,OPTION=VALUE…]`: `egress`, `network=blue`,
 * `bridge=br0,address=192.168.7.11/24,gateway=192.168.7.1`. What the parts mean is the business of whoever makes a VM of
 * them.
 */
export const net: Parser<NetFlag | typeof NONE> = (given) => {
  if (given === NONE) return { value: NONE };
  const [first = "", ...options] = given.split(",");
  const [mode = "", name] = split(first);
  if (!Object.hasOwn(MODES, mode) || (name === undefined) !== (MODES[mode] === undefined)) return FORM;
  const flag: Record<string, unknown> = { mode };
  if (MODES[mode] !== undefined) flag[MODES[mode]] = name;
  for (const option of options) {
    const [key = "", value] = split(option);
    if (key === "ipv6" && (value === "on" || value === "off")) flag[key] = value === "on";
    else if (value !== undefined && OPTIONS.has(key)) flag[key] = value;
    else return FORM;
  }
  return { value: flag as unknown as NetFlag };
};

const FORM: Parsed<never> = {
  problem:
    "must be none, isolated, egress, bridge=NAME or network=NAME, and may have options such as bridge=br0,address=192.168.7.11/24,gateway=192.168.7.1 (address, gateway, address6, gateway6, mac, ipv6=on|off)",
};

/** Flags about a VM's networks. */
export interface NetworkFlags {
  readonly net?: readonly (NetFlag | typeof NONE)[];
  readonly tap?: readonly string[];
  readonly cni?: readonly string[];
  readonly allow?: readonly string[];
  readonly publish?: readonly string[];
  readonly dns?: readonly string[];
}

/**
 * The interfaces that flags describe, in their order; `undefined` where none is about them. What opens doors is for the
 * first interface that can have doors; without any, for one that has nothing but them.
 */
export function toNetworks(flags: NetworkFlags): NetworkInput[] | undefined {
  const given = (flags.net ?? []).filter((each) => each !== NONE);
  const others: NetFlag[] = [
    ...(flags.tap ?? []).map((tap): NetFlag => ({ mode: "tap", tap })),
    ...(flags.cni ?? []).map((cni): NetFlag => ({ mode: "cni", cni })),
  ];
  const doors = doorsOf(flags);
  const isToAdd = doors !== undefined && given.length + others.length === 0;
  const interfaces = [...given, ...(isToAdd ? [{ mode: "isolated" as const }] : []), ...others];
  if (interfaces.length === 0) return flags.net === undefined ? undefined : [];
  const first = Math.max(0, interfaces.findIndex(hasDoors));
  return interfaces.map((each, index) => (index === first ? { ...each, ...doors } : each));
}

/** What is wrong with flags beside each other. */
export function networkFlagProblems(flags: NetworkFlags): FieldProblem[] {
  const hasMore =
    (flags.net?.length ?? 0) > 1 || [flags.tap, flags.cni, doorsOf(flags)].some((each) => each !== undefined);
  return flags.net?.includes(NONE) === true && hasMore
    ? [{ field: "--net", problem: "none leaves no room for another interface, or for doors" }]
    : [];
}

/** The flag by which a field of a VM's networks was given. */
export function networkFlagOf(field: string): string | undefined {
  if (!field.startsWith("networks")) return undefined;
  const [, member = ""] = /^networks\[\d+\]\.(\w+)/.exec(field) ?? [];
  return ["allow", "publish", "dns", "tap", "cni"].includes(member) ? `--${member}` : "--net";
}

function doorsOf({ allow, publish, dns }: NetworkFlags): Pick<NetFlag, "allow" | "publish" | "dns"> | undefined {
  if (allow === undefined && publish === undefined && dns === undefined) return undefined;
  return {
    ...(allow === undefined ? {} : { allow: [...allow] }),
    ...(publish === undefined ? {} : { publish: [...publish] }),
    ...(dns === undefined ? {} : { dns: [...dns] }),
  };
}

function hasDoors({ mode }: NetFlag): boolean {
  return mode === "isolated" || mode === "egress" || mode === "bridge";
}

function split(text: string): [string, string?] {
  const at = text.indexOf("=");
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
