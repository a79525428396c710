import type { Host } from "../host/host.ts";
import type { VmId } from "../vm/id.ts";
import type { VmNamespace, VmNetwork } from "../vm/network/vm-network.ts";
import { deleteCni } from "./cni/chain.ts";
import { changeElements, removeTables } from "./rules/document.ts";
import { guardTable, HOST_PORTS, hostPortElements, publishedTable } from "./rules/outside.ts";
import { REMOVE } from "./scripts.ts";
import { applyDocument, type Bounds, networkFailure, runScript } from "./tools.ts";

/**
 * Removes what {@link buildNetwork} made, the doors into the VM first. Its process must be dead: a namespace lives as
 * long as somebody is in it. Idempotent; what the caller made is not touched.
 *
 * Only what is in the VM's own namespace is deleted, and the host's ends of cables with their other ends: a device of the
 * same name that is somebody else's stays.
 *
 * @throws {@link WarderError} `network-failed`, `deadline-exceeded`.
 */
export async function removeNetwork(host: Host, id: VmId, network: VmNetwork, bounds: Bounds = {}): Promise<void> {
  const { namespace, interfaces } = network;
  if (namespace === undefined) return;
  const cables = interfaces.flatMap(({ uplink }) => (uplink === undefined ? [] : [uplink.inside]));
  try {
    await closeHost(host, id, network, bounds);
    const plugins = await Promise.allSettled(leaveCniNetworks(host, id, namespace, network, bounds));
    if (host.files.inspect(namespace.path) !== undefined)
      await runScript(host, REMOVE, [namespace.name, namespace.path, ...cables], bounds);
    // Plugins can be asked once more without the namespace; the namespace is not kept for want of a plugin.
    const failed = plugins.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  } catch (error) {
    throw networkFailure(error, `removing the network of ${id}`);
  }
}

function leaveCniNetworks(
  host: Host,
  id: VmId,
  namespace: VmNamespace,
  { interfaces }: VmNetwork,
  bounds: Bounds,
): Promise<void>[] {
  return interfaces.flatMap(({ uplink }) =>
    uplink?.kind === "cni" ? [deleteCni(host, { id, namespace, uplink }, bounds)] : [],
  );
}

/** Takes back what `openHost` opened, whether it is there or not. */
async function closeHost(host: Host, id: VmId, network: VmNetwork, bounds: Bounds): Promise<void> {
  const published = publishedTable(id, network);
  const elements = hostPortElements(network);
  if (published === undefined && elements.length === 0) return;
  const { nftables } = removeTables(published === undefined ? [] : [published]);
  // The set may be gone with its table, so both are made before something is taken out.
  const { family, name, sets = [] } = guardTable;
  const makeSets = sets.map((set) => ({ add: { set: { family, table: name, name: set.name, type: set.type } } }));
  const prepared = elements.length === 0 ? [] : [{ add: { table: { family, name } } }, ...makeSets];
  const taken = changeElements("delete", guardTable, HOST_PORTS, elements);
  await applyDocument(host, undefined, { nftables: [...nftables, ...prepared, ...taken] }, bounds);
}
