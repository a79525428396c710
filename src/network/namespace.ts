import type { VmId } from "../vm/id.ts";
import type { NetworkSpec } from "../vm/network/spec.ts";
import type { VmNamespace, VmNetwork } from "../vm/network/vm-network.ts";
import { toHostPath } from "../vm/path.ts";

/** Where `ip netns` keeps namespaces. */
export const NAMESPACES = "/run/netns";

/** What the names of VMs' namespaces begin with. */
export const NAMESPACE_PREFIX = "fc-";

/** The namespace of a VM: `fc-<id>`, as operators of seed-era managers know it. */
export function namespaceOf(id: VmId): VmNamespace {
  const name = `${NAMESPACE_PREFIX}${id}`;
  return { name, path: toHostPath(`${NAMESPACES}/${name}`) };
}

/** Whether a VM gets a namespace of its own: not where all interfaces are devices that the caller has made. */
export function needsNamespace(networks: readonly NetworkSpec[] | undefined): boolean {
  return networks !== undefined && (networks.length === 0 || networks.some(({ mode }) => mode !== "tap"));
}

/** The host's ends of a VM's cables. */
export function outsideEnds({ interfaces }: VmNetwork): string[] {
  return interfaces.flatMap(({ uplink }) => (uplink !== undefined && "outside" in uplink ? [uplink.outside] : []));
}

/** Where a VM's network shows on the host, as paths; none of what is the caller's. */
export function networkPaths(network: VmNetwork, sys = "/sys"): string[] {
  const { namespace } = network;
  return [
    ...(namespace === undefined ? [] : [namespace.path]),
    ...outsideEnds(network).map((name) => `${sys}/class/net/${name}`),
  ];
}
