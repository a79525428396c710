import { allocateNetwork } from "../network/allocate.ts";
import { readCniConfig } from "../network/cni/config.ts";
import { conflictingRoute, decideIpv6, readBridge, readForwarding, refuseConflicts } from "../network/host-facts.ts";
import type { Leases } from "../network/leases.ts";
import { NamedNetworks, networksDirectory } from "../network/named-networks.ts";
import { openingsOf } from "../network/openings.ts";
import type { PlannedInterface } from "../network/planned-interface.ts";
import { type AddressPools, ALONE, subnetsOf } from "../network/pools.ts";
import { requireTools } from "../network/tools.ts";
import type { VmId } from "../vm/id.ts";
import { toNumber } from "../vm/network/address.ts";
import { cidrAround, toInterfaceAddress } from "../vm/network/cidr.ts";
import { DNS_MAX, type NetworkSpec } from "../vm/network/spec.ts";
import type { VmNetwork } from "../vm/network/vm-network.ts";
import type { Machinery } from "./machinery.ts";

/** What networks need of an open host. */
export type NetworkHost = Pick<Machinery, "host" | "store" | "settings">;

/** The networks that VMs of this state directory share. */
export function namedNetworks({ host, settings }: NetworkHost): NamedNetworks {
  return new NamedNetworks(host, networksDirectory(settings.stateDir), poolsOf(settings));
}

/**
 * Finds out what a VM's interfaces need of the host, and refuses what the host can not give, before anything is made.
 *
 * @throws {@link WarderError} `tool-missing`, `network-unavailable`, `address-taken`, `interface-unfit`,
 * `host-unresolved`, `addresses-exhausted`, `aborted`.
 */
export async function planInterfaces(
  machinery: NetworkHost,
  networks: readonly NetworkSpec[],
  signal: AbortSignal,
): Promise<PlannedInterface[]> {
  const { host, settings } = machinery;
  requireTools(host);
  const forwarding = readForwarding(host);
  refuseConflicts(host, networks, subnetsOf(poolsOf(settings), ALONE).ipv4);
  return Promise.all(
    networks.map(async (given): Promise<PlannedInterface> => {
      const spec = withResolvers(given, settings.network.dns);
      const hasIpv6 = decideIpv6(spec, forwarding);
      const [openings, bridge] = await Promise.all([
        openingsOf(host, spec, { signal }),
        spec.bridge === undefined ? undefined : readBridge(host, spec.bridge, { signal }),
      ]);
      const number = spec.network === undefined ? undefined : ensureNamed(machinery, spec.network);
      return {
        spec,
        openings,
        hasIpv6,
        ...(bridge === undefined ? {} : { bridge }),
        ...(spec.cni === undefined ? {} : { cni: readCniConfig(host, spec.cni) }),
        ...(number === undefined ? {} : { networkNumber: number }),
      };
    }),
  );
}

/** A route of the host's own to where VMs get their addresses, as a clause. */
export function poolConflict(
  host: NetworkHost["host"],
  settings: Pick<NetworkHost["settings"], "network">,
): string | undefined {
  return conflictingRoute(host, subnetsOf(poolsOf(settings), ALONE).ipv4);
}

/** Gives the interfaces their names and addresses, those of the VM's last run where nobody else has got them since. */
export function allocate(
  { store, settings }: NetworkHost,
  id: VmId,
  interfaces: readonly PlannedInterface[],
  previous: VmNetwork | undefined,
): VmNetwork {
  const leases = leasesOf({ store }, id, previous);
  return allocateNetwork({
    id,
    interfaces,
    pools: poolsOf(settings),
    leases,
    hostPorts: numbers(settings.network.hostPorts),
  });
}

/** The store's lock makes sure that no two networks get the same number. */
function ensureNamed(machinery: NetworkHost, name: NonNullable<NetworkSpec["network"]>): number {
  return machinery.store.transaction(() => namedNetworks(machinery).ensure(name)).number;
}

function leasesOf({ store }: Pick<NetworkHost, "store">, id: VmId, previous: VmNetwork | undefined): Leases {
  const before = (previous?.interfaces ?? []).flatMap(({ ipv4 }) =>
    ipv4 === undefined ? [] : [Number(toNumber(ipv4.address))],
  );
  return {
    claim: (kind, value) => store.leases.claim(kind, value, id),
    lease(kind, { first, count }) {
      const index = before.findIndex((value) => value >= first && value < first + count);
      const [kept] = index < 0 ? [] : before.splice(index, 1);
      if (kept !== undefined && kind === "address4" && store.leases.claim(kind, kept, id)) return kept;
      const taken = store.leases.take(kind, { first, count }, id);
      return taken === undefined ? undefined : Number(taken);
    },
  };
}

/** Whoever writes a pool may write it with any of its addresses. */
function poolsOf({ network }: Pick<NetworkHost["settings"], "network">): AddressPools {
  const [ipv4, ipv6] = [network.ipv4Pool, network.ipv6Pool].map((text) => cidrAround(toInterfaceAddress(text)));
  return { ipv4, ipv6 } as AddressPools;
}

function numbers({ first, count }: { first: bigint | number; count: bigint | number }) {
  return { first: Number(first), count: Number(count) };
}

/**
 * A guest that is told nothing else is told of the host's choice of name servers, where it may reach the internet. An
 * isolated one is not: a name server carries messages.
 */
function withResolvers(spec: NetworkSpec, resolvers: readonly string[]): NetworkSpec {
  const isToTell = spec.dns.length === 0 && (spec.mode === "egress" || spec.mode === "bridge");
  return isToTell ? { ...spec, dns: resolvers.slice(0, DNS_MAX) as unknown as NetworkSpec["dns"] } : spec;
}
