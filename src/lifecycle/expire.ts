import { messageOf } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { hasEnded } from "../vm/state.ts";
import type { Machinery } from "./machinery.ts";
import { outputPaths } from "./output-files.ts";

/**
 * Forgets VMs that ended long ago, and the oldest of those that are too many, with their output. What is left of a VM on
 * the host keeps its record.
 */
export async function forgetExpired(machinery: Machinery): Promise<void> {
  const { host, store, settings } = machinery;
  const { endedMs, endedVms } = settings.retention;
  for (const id of store.listExpired(host.clock.now() - endedMs, endedVms)) {
    try {
      if (forget(machinery, id)) await host.files.removeTree(outputPaths(settings, id).directory);
    } catch (error) {
      machinery.warn("VM not forgotten", { vm_id: id, error: messageOf(error) });
    }
  }
}

/** False where something has become of the VM meanwhile. */
function forget({ store }: Machinery, id: VmId): boolean {
  return store.transaction(() => {
    const record = store.get(id);
    if (record === undefined || !hasEnded(record.state) || record.owner !== undefined) return false;
    if (store.ledger(id).length > 0) return false;
    store.forget(id, "it ended long ago");
    return true;
  });
}
