import type { Host } from "../host/host.ts";
import type { VmNetwork } from "../vm/network/vm-network.ts";
import { countersOf, parseRuleset } from "./rules/compare.ts";
import { dropReasons, INSIDE_TABLE } from "./rules/inside.ts";
import { SPOOFED } from "./rules/source.ts";
import { type Bounds, networkFailure, runTool } from "./tools.ts";

const reasons = [SPOOFED, ...dropReasons] as const;

/** What was dropped for one reason, since the rules were put in force. */
export interface DropCount {
  readonly reason: (typeof reasons)[number];
  readonly packets: number;
  readonly bytes: number;
}

/**
 * What a VM's rules have dropped.
 *
 * @throws {@link WarderError} `network-failed` where its namespace is not there any more.
 */
export async function readDrops(host: Host, { namespace }: VmNetwork, bounds: Bounds = {}): Promise<DropCount[]> {
  if (namespace === undefined) return [];
  try {
    const found = parseRuleset(await runTool(host, namespace.path, "nft", ["-j", "list", "counters"], bounds));
    const counters = (["netdev", "inet"] as const).flatMap((family) =>
      countersOf({ family, name: INSIDE_TABLE }, found),
    );
    const known = new Map(counters.map((each) => [each.name, each]));
    return reasons.map((reason) => {
      const { packets = 0, bytes = 0 } = known.get(reason) ?? {};
      return { reason, packets, bytes };
    });
  } catch (error) {
    throw networkFailure(error, `counting what was dropped in ${namespace.name}`);
  }
}
