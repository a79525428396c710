import { isWarderError, messageOf } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import type { VmRecord } from "../vm/record.ts";
import { isLive } from "../vm/state.ts";
import type { Drivers } from "./drivers.ts";
import type { Machinery } from "./machinery.ts";
import { hasLivingOwner } from "./owner.ts";
import { proveOnceMore } from "./prove-again.ts";

/** So many are taken over and proven in one piece, some 3 ms each, before other work has its turn. */
const SLICE = 16;

/**
 * Takes over every VM that nobody looks after, and looks at the isolation of each once more.
 *
 * A gap is told, and stands in the record. It is no reason to end a VM that somebody needs: who wants that asks for
 * `Vm.prove`, which does so under the policy `strict`.
 */
export async function adoptOrphans(machinery: Machinery, drivers: Drivers): Promise<void> {
  const orphans = machinery.store.list().filter((record) => isOrphan(machinery, record));
  for (let first = 0; first < orphans.length; first += SLICE) {
    const ids = orphans.slice(first, first + SLICE).map(({ id }) => id);
    const adopted = ids.filter((id) => attempt(machinery, id, () => drivers.of(id).lookAfter()));
    for (const id of adopted) await proveAdopted(machinery, drivers, id);
    await new Promise((resolve) => void setImmediate(resolve));
  }
}

function isOrphan(machinery: Machinery, record: VmRecord): boolean {
  const isSomebodys = isLive(record.state) ? record.startedAt !== undefined : record.state === "restarting";
  return isSomebodys && !hasLivingOwner(machinery, record);
}

async function proveAdopted(machinery: Machinery, drivers: Drivers, id: VmId): Promise<void> {
  const { store } = machinery;
  const before = store.get(id);
  if (before === undefined || !["running", "paused"].includes(before.state)) return;
  try {
    const report = await drivers.of(id).prove(
      {},
      (record, run, signal) => proveOnceMore(machinery, record, run?.proof, signal),
      () => undefined,
    );
    if (isWorse(report, before.isolation))
      machinery.warn("VM is not isolated as asked any more", { vm_id: id, gaps: report.gaps });
  } catch (error) {
    // A VM that has ended meanwhile has no isolation any more.
    if (isWarderError(error) && error.code === "wrong-state") return;
    machinery.warn("VM not proven once more", { vm_id: id, error: messageOf(error) });
  }
}

function isWorse(report: IsolationReport, before: IsolationReport | undefined): boolean {
  return report.level === "degraded" && before?.level !== "degraded";
}

/** What is wrong with one VM must not keep the others waiting. */
function attempt(machinery: Machinery, id: VmId, work: () => boolean): boolean {
  try {
    return work();
  } catch (error) {
    machinery.warn("VM not taken over", { vm_id: id, error: messageOf(error) });
    return false;
  }
}
