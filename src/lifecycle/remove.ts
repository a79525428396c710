import { directoriesOf } from "../cgroup/place.ts";
import { networkPaths } from "../network/namespace.ts";
import { messageOf, WarderError } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";
import { removalSteps } from "./removal-steps.ts";

/**
 * Removes everything of a VM from the host, and gives its leases back: see {@link removalSteps}. Idempotent: what fails
 * stays in the ledger, and is tried again by `warder gc` and by the next start of a manager.
 *
 * @param steps - Others in tests only.
 * @throws {@link WarderError} `wrong-state` or `process-stranger` while the VM's process may still live: nothing was
 * removed then. `cleanup-failed` with all failures.
 */
export async function removeObjects(machinery: Machinery, record: VmRecord, steps = removalSteps): Promise<void> {
  const { store } = machinery;
  const [endProcesses, ...others] = steps;
  const context = { machinery, record };
  const never = new AbortController().signal;
  await endProcesses?.run(context, never);
  const failures: unknown[] = [];
  // In order, but each for itself: what one can not remove is no reason to leave more behind.
  for (const step of others) {
    try {
      await step.run(context, never);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw incomplete(record, failures);
  store.transaction(() => {
    store.strike(record.id);
    store.leases.release(record.id);
  });
  machinery.quarantine.lookSoon();
}

/** Paths of a VM on the host: what must be gone afterwards. */
export function pathsOf(record: VmRecord): string[] {
  const cgroups = record.cgroup === undefined ? [] : directoriesOf(record.cgroup);
  const network = record.network === undefined ? [] : networkPaths(record.network);
  return [record.layout.directory, record.layout.alias, ...cgroups, ...network];
}

function incomplete(record: VmRecord, failures: readonly unknown[]): WarderError {
  return new WarderError("cleanup-failed", {
    doing: `removing what belongs to ${record.id}`,
    why: failures.map(messageOf).join("; "),
    cure: "Run `warder gc` once the cause is gone",
    cause: failures[0],
    cleanup: failures.slice(1),
  });
}
