import { type DropCount, readDrops } from "../network/counters.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { type NetworkName, networkNameProblem } from "../vm/network/names.ts";
import { hasEnded } from "../vm/state.ts";
import { type NetworkHost, namedNetworks } from "./network-plan.ts";

export type { DropCount } from "../network/counters.ts";

/** A network that VMs share, and who is in it. Members are only ever added. */
export interface SharedNetwork {
  readonly name: string;
  readonly bridge: string;
  readonly ipv4: string;
  readonly ipv6: string | null;
  /** VMs that have not ended. */
  readonly vms: readonly { readonly id: VmId; readonly addresses: readonly string[] }[];
}

/** The networks that VMs of this state directory share, by name. */
export function listNetworks(machinery: NetworkHost): SharedNetwork[] {
  const living = machinery.store.list().filter(({ state }) => !hasEnded(state));
  return namedNetworks(machinery)
    .list()
    .map(({ name, bridge, subnets }) => ({
      name,
      bridge,
      ipv4: subnets.ipv4,
      ipv6: subnets.ipv6 ?? null,
      vms: living.flatMap(({ id, network, spec }) => {
        if (spec.networks?.some((each) => each.network === name) !== true) return [];
        const own =
          network?.interfaces.filter(({ uplink }) => uplink?.kind === "bridged" && uplink.network === name) ?? [];
        const addresses = own.flatMap(({ ipv4, ipv6 }) => [ipv4?.address, ipv6?.address]);
        return [{ id, addresses: addresses.filter((address) => address !== undefined) }];
      }),
    }));
}

/**
 * One of them.
 *
 * @throws {@link WarderError} `network-not-found`, `invalid-argument`.
 */
export function getNetwork(machinery: NetworkHost, name: string): SharedNetwork {
  const problem = networkNameProblem(name);
  if (problem !== undefined) {
    throw new WarderError("invalid-argument", {
      doing: "looking up a network",
      why: "the name is wrong",
      fields: [{ field: "name", problem: `${JSON.stringify(name)} ${problem}` }],
    });
  }
  const network = listNetworks(machinery).find((each) => each.name === name);
  if (network !== undefined) return network;
  throw new WarderError("network-not-found", {
    doing: `looking up the network ${name}`,
    why: "no VM has named it yet, or it was removed",
    cure: "See `warder network ls`",
  });
}

/**
 * Removes a network that no VM is in, with its bridge.
 *
 * @throws {@link WarderError} `network-not-found`; `network-in-use` with who is in it; `network-failed`.
 */
export async function removeSharedNetwork(machinery: NetworkHost, name: string, signal: AbortSignal): Promise<void> {
  const { vms } = getNetwork(machinery, name);
  if (vms.length > 0) {
    throw new WarderError("network-in-use", {
      doing: `removing the network ${name}`,
      why: `in it are ${vms.map(({ id }) => id).join(", ")}`,
      cure: "Stop them first",
    });
  }
  await namedNetworks(machinery).remove(name as NetworkName, { signal });
}

/** What the rules of a VM's network have dropped; nothing for a VM that has none now. */
export async function countDrops(machinery: NetworkHost, id: VmId, signal: AbortSignal): Promise<DropCount[]> {
  const record = machinery.store.get(id);
  if (record?.network === undefined || hasEnded(record.state)) return [];
  return readDrops(machinery.host, record.network, { signal });
}
