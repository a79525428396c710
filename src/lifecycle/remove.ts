import { directoriesOf } from "../cgroup/place.ts";
import { removeCgroups } from "../cgroup/remove.ts";
import { removeJail } from "../jailer/jail.ts";
import { networkPaths } from "../network/namespace.ts";
import { WarderError } from "../vm/error.ts";
import type { CgroupPlacement, VmRecord } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";

/** A cgroup can be busy for a moment after its last process was reaped. */
const CGROUP_TIMEOUT_MS = 5_000;

/** Removes the cgroups of a VM whose process is dead. Idempotent. */
export async function removeVmCgroups(machinery: Machinery, placement: CgroupPlacement): Promise<void> {
  await removeCgroups(machinery.host, placement, { timeoutMs: CGROUP_TIMEOUT_MS });
}

/**
 * Removes everything of a VM from the host, in the only right order: its process is dead, then cgroups, network, jail, leases;
 * each struck out of the ledger once it is gone. Idempotent: what fails stays in the ledger, and is tried again by
 * `warder gc` and by the next start of a manager.
 *
 * @throws {@link WarderError} `cleanup-failed` with all failures; `process-stranger` while the process still lives.
 */
export async function removeObjects(machinery: Machinery, record: VmRecord): Promise<void> {
  const { host, store } = machinery;
  refuseLiving(machinery, record);
  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<void>) => work().catch((error: unknown) => failures.push(error));
  const { cgroup } = record;
  if (cgroup !== undefined) await attempt(() => removeVmCgroups(machinery, cgroup));
  if (record.network !== undefined)
    await attempt(async () => (await import("./network.ts")).removeVmNetwork(machinery, record));
  // The jail holds a link to the cgroups, and the ledger both: in order, but independent of each other.
  await attempt(() => removeJail(host, record.layout));
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

function refuseLiving({ host }: Machinery, { id, process }: VmRecord): void {
  if (process === undefined || !host.processes.isAlive(process)) return;
  throw new WarderError("wrong-state", {
    doing: `removing what belongs to ${id}`,
    why: `its process ${process.pid} is still there`,
    cure: `End it first: \`warder kill ${id}\``,
  });
}

function incomplete(record: VmRecord, failures: readonly unknown[]): WarderError {
  return new WarderError("cleanup-failed", {
    doing: `removing what belongs to ${record.id}`,
    why: failures.map((failure) => (failure instanceof Error ? failure.message : String(failure))).join("; "),
    cure: "Run `warder gc` once the cause is gone",
    cause: failures[0],
    cleanup: failures.slice(1),
  });
}
