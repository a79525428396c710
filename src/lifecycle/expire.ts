import { messageOf } from "../vm/error.ts";
import { hasEnded } from "../vm/state.ts";
import type { Machinery } from "./machinery.ts";
import { outputPaths } from "./output-files.ts";
import { claimVm, disclaimVm } from "./ownership.ts";

/**
 * Forgets VMs that ended long ago, and the oldest of those that are too many, with their output. What is left of a VM on
 * the host keeps its record.
 */
export async function forgetExpired(machinery: Machinery): Promise<void> {
  const { host, store, settings } = machinery;
  const { endedMs, endedVms } = settings.retention;
  for (const id of store.listExpired(host.clock.now() - endedMs, endedVms)) {
    try {
      const claimed = claimVm(machinery, id, (record) => hasEnded(record.state) && store.ledger(id).length === 0);
      if (claimed === undefined) continue;
      try {
        // The output first: nobody would look for it once the VM is forgotten.
        await host.files.removeTree(outputPaths(settings, id).directory);
        store.forget(id, "it ended long ago");
      } finally {
        disclaimVm(machinery, id);
      }
    } catch (error) {
      machinery.warn("VM not forgotten", { vm_id: id, error: messageOf(error) });
    }
  }
}
