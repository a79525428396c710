import * as z from "zod";
import type { Host } from "../host/host.ts";
import { messageOf } from "../vm/error.ts";
import type { VmNamespace } from "../vm/network/vm-network.ts";
import { type FoundRuleset, parseRuleset } from "./rules/compare.ts";
import { READ_INSIDE } from "./scripts.ts";
import { type Bounds, runTool } from "./tools.ts";

const addressed = z.object({
  ifname: z.string(),
  flags: z.array(z.string()),
  ifalias: z.string().optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_data: z
        .object({ type: z.string().optional(), user: z.number().optional(), group: z.number().optional() })
        .optional(),
    })
    .optional(),
  addr_info: z.array(z.object({ local: z.string().optional(), prefixlen: z.number().optional() })),
});
const route = z.object({
  type: z.string().optional(),
  dst: z.string(),
  gateway: z.string().optional(),
  dev: z.string().optional(),
  table: z.string().optional(),
  protocol: z.string().optional(),
  flags: z.array(z.string()).optional(),
});
const rule = z.object({
  priority: z.number(),
  src: z.string().optional(),
  iif: z.string().optional(),
  table: z.string().optional(),
});
const neighbour = z.object({
  dst: z.string(),
  dev: z.string(),
  lladdr: z.string().optional(),
  state: z.array(z.string()).optional(),
});

/** A device, as `ip -j -d addr` prints it; members that say nothing here are left out. */
export type FoundDevice = z.output<typeof addressed>;
export type FoundRoute = z.output<typeof route>;
export type FoundRule = z.output<typeof rule>;
export type FoundNeighbour = z.output<typeof neighbour>;

/** What the kernel says of a network namespace. */
export interface FoundNamespace {
  readonly devices: readonly FoundDevice[];
  readonly routes: readonly FoundRoute[];
  readonly rules: readonly FoundRule[];
  readonly ipv6Rules: readonly FoundRule[];
  readonly neighbours: readonly FoundNeighbour[];
  /** Addresses that the namespace answers for. */
  readonly proxies: readonly FoundNeighbour[];
  readonly ruleset: FoundRuleset;
}

/**
 * Reads back all that a VM's namespace has.
 *
 * @throws {@link WarderError} `tool-failed`, `deadline-exceeded`, `aborted`; RangeError where a tool printed what it
 * should not.
 */
export async function readNamespace(host: Host, { path }: VmNamespace, bounds: Bounds): Promise<FoundNamespace> {
  return parseNamespace(await runTool(host, path, "sh", ["-c", READ_INSIDE], bounds));
}

/** Reads what {@link READ_INSIDE} printed. */
export function parseNamespace(text: string): FoundNamespace {
  const [devices, routes, rules, neighbours, proxies, ipv6Rules, ...ruleset] = text.split("\n");
  return {
    devices: parseList(addressed, devices),
    routes: parseList(route, routes),
    rules: parseList(rule, rules),
    neighbours: parseList(neighbour, neighbours),
    proxies: parseList(neighbour, proxies),
    ipv6Rules: parseList(rule, ipv6Rules),
    ruleset: parseRuleset(ruleset.join("\n")),
  };
}

/** Reads one list of `ip -j`. An old `ip` prints an empty object where there is nothing. */
export function parseList<Item>(schema: z.ZodType<Item>, line: string | undefined): Item[] {
  try {
    const items: unknown = JSON.parse(line ?? "");
    return z.array(schema).parse(Array.isArray(items) ? items.filter((item) => Object.keys(item).length > 0) : []);
  } catch (cause) {
    throw new RangeError(`ip printed something that is no list: ${messageOf(cause).split("\n", 1)[0]}`, { cause });
  }
}

/** Reads the devices that `ip -j -d addr` printed. */
export function parseDevices(text: string): FoundDevice[] {
  return parseList(addressed, text);
}
