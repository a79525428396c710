import { readFifos } from "../jailer/launch.ts";
import { messageOf } from "../vm/error.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { VmRecord } from "../vm/record.ts";
import { isLive } from "../vm/state.ts";
import { connectApi } from "./api.ts";
import { Drain } from "./drain.ts";
import { guardedEnd } from "./end-guard.ts";
import { sightVm } from "./identity.ts";
import type { Machinery } from "./machinery.ts";
import { outputFiles } from "./output-files.ts";
import { asOwner, hasLivingOwner, isOwn } from "./owner.ts";
import { disclaimVm } from "./ownership.ts";
import { endOfOther } from "./process-end.ts";
import { keptProof } from "./prove-again.ts";
import { Supervision } from "./supervision.ts";

/**
 * Takes over a VM that runs without an owner: its output is read on from where its last owner stopped, its end is seen,
 * with the exit status that was written down, and its isolation can be proven again.
 *
 * @returns `undefined` where it has ended or is not to be recognised, or another manager was faster.
 */
export function adoptVm(machinery: Machinery, record: VmRecord): Supervision | undefined {
  const sighting = sightVm(machinery, record);
  if (sighting.kind !== "running") return undefined;
  const owned = takeOwnership(machinery, record);
  if (owned === undefined) return undefined;
  try {
    const supervision = superviseOther(machinery, owned, sighting.process);
    machinery.vsock.adopt(owned);
    restoreNetworkOf(machinery, owned);
    machinery.observer.tell({ kind: "adoption", result: "adopted" });
    return supervision;
  } catch (error) {
    machinery.observer.tell({ kind: "adoption", result: "failed" });
    // With an owner who does not look after it nobody would ever try again.
    disclaimVm(machinery, record.id);
    throw error;
  }
}

/** Behind the back of whoever takes the VM over; what can not be put right is told, and is a gap of the next proof. */
function restoreNetworkOf(machinery: Machinery, record: VmRecord): void {
  if (record.network === undefined) return;
  const tell = (gaps: readonly string[]) =>
    machinery.warn("VM's network is not as it was made", { vm_id: record.id, gaps });
  void import("./network.ts")
    .then(({ restoreNetwork }) => restoreNetwork(machinery, record))
    .then((gaps) => {
      if (gaps.length > 0) tell(gaps.map(({ name, wanted, found }) => `${name}: wanted ${wanted}, found ${found}`));
    })
    .catch((error: unknown) => tell([messageOf(error)]));
}

function takeOwnership({ host, store }: Machinery, { id }: VmRecord): VmRecord | undefined {
  const isFree = (current: VmRecord) => isLive(current.state) && !hasLivingOwner({ host }, current);
  const owned = store.update(id, (current) => (isFree(current) ? { ...current, owner: asOwner(host) } : current));
  return isOwn({ host }, owned) ? owned : undefined;
}

function superviseOther(machinery: Machinery, record: VmRecord, process: ProcessIdentity): Supervision {
  const { host } = machinery;
  const { layout } = record;
  const files = outputFiles(machinery, record.id);
  const proof = keptProof(machinery, record);
  const readers = readFifos(host, layout);
  const drains = {
    console: new Drain(readers.console, files.console, { wasUnread: true }),
    log: new Drain(readers.log, files.log, { wasUnread: true }),
    metrics: new Drain(readers.metrics, files.metrics, { wasUnread: true }),
  };
  const watch = new AbortController();
  const ended = endOfOther(host, { process, layout }, drains.console.ended, watch.signal);
  return new Supervision(machinery, {
    record,
    drains,
    ended: guardedEnd(host, process, ended, drains.log),
    client: connectApi(host, record),
    letGo: () => watch.abort(),
    ...(proof === undefined ? {} : { proof }),
  });
}
