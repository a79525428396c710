import type { AdoptionResult } from "../observability/observer.ts";
import type { VmExit } from "../vm/exit.ts";
import { type VmRecord, withoutOwner } from "../vm/record.ts";
import { isLive } from "../vm/state.ts";
import { concludeEnd } from "./conclude-end.ts";
import { enterEnd } from "./ending.ts";
import { noteStranger, sightVm } from "./identity.ts";
import type { Machinery } from "./machinery.ts";
import { readTail } from "./output-files.ts";
import { hasLivingOwner } from "./owner.ts";
import { claimVm, disclaimVm } from "./ownership.ts";
import { recordedExit } from "./process-end.ts";
import { recoverLost } from "./rebuild.ts";
import { removeObjects } from "./remove.ts";
import { endUnfinishedStart } from "./unfinished-start.ts";

/** As many VMs are put in order at once: each may wait a moment for a status or a cgroup. */
const AT_ONCE = 16;

/** Something of a VM that could not be put in order. */
export interface Failure {
  /** The VM's id. */
  readonly id: string;
  readonly error: unknown;
}

/**
 * Puts the records in order with the host: VMs that ended while nobody looked are concluded and removed, starts that
 * were cut off are taken back. VMs that run, and VMs of other living managers, are not touched.
 *
 * @returns What could not be removed, with the VM's id.
 */
export async function reconcile(machinery: Machinery): Promise<Failure[]> {
  recoverLost(machinery);
  const failures: Failure[] = [];
  const due = machinery.store.list().filter((record) => {
    try {
      return dueOf(machinery, record) !== undefined;
    } catch (error) {
      failures.push({ id: record.id, error });
      return false;
    }
  });
  const next = due.values();
  const work = Array.from({ length: AT_ONCE }, async () => {
    for (const record of next) {
      await settle(machinery, record).catch((error: unknown) => failures.push({ id: record.id, error }));
    }
  });
  await Promise.all(work);
  return failures;
}

/** What an earlier manager left undone of a VM: a removal, a start, or seeing its end. */
export type Due = "remove" | "take-back" | "conclude";

/** What is left to do of a VM that nobody looks after; `undefined` where nothing is, or nothing may be done. */
export function dueOf(machinery: Machinery, record: VmRecord): Due | undefined {
  if (hasLivingOwner(machinery, record)) return undefined;
  // A removal that failed, or was cut off, is tried again.
  if (!isLive(record.state)) return hasRemains(machinery, record) ? "remove" : undefined;
  // A start that was told to stop has not got so far as to run either.
  const isUnfinished = record.state === "stopping" && record.startedAt === undefined;
  if (record.state === "starting" || isUnfinished) return "take-back";
  const sighting = sightVm(machinery, record);
  if (sighting.kind === "stranger") noteStranger(machinery, record, sighting.why);
  return sighting.kind === "gone" ? "conclude" : undefined;
}

/** Does what an earlier manager left undone of one VM; nothing where nothing is. */
export async function settle(machinery: Machinery, record: VmRecord): Promise<void> {
  const due = dueOf(machinery, record);
  if (due === undefined) return;
  // Nobody else does it too, or starts the VM meanwhile; and where something else has become of it, it is not due.
  const claimed = claimVm(machinery, record.id, ({ generation }) => generation === record.generation);
  if (claimed === undefined) return;
  const tell = (result: AdoptionResult) => machinery.observer.tell({ kind: "adoption", result });
  try {
    await doDue(machinery, claimed, due);
    tell(results[due]);
  } catch (error) {
    tell("failed");
    throw error;
  } finally {
    disclaimVm(machinery, record.id);
  }
}

const results: Readonly<Record<Due, AdoptionResult>> = {
  remove: "removed",
  "take-back": "taken-back",
  conclude: "concluded",
};

async function doDue(machinery: Machinery, record: VmRecord, due: Due): Promise<void> {
  switch (due) {
    case "remove":
      return finishRemoval(machinery, record);
    case "take-back":
      return takeBack(machinery, record);
    case "conclude":
      return finish(machinery, record, await concludeUnseen(machinery, record));
  }
}

function hasRemains({ store }: Machinery, record: VmRecord): boolean {
  return record.owner !== undefined || store.ledger(record.id).length > 0;
}

/** Removes what is left of a VM that has ended. */
export async function finishRemoval(machinery: Machinery, record: VmRecord): Promise<void> {
  await removeObjects(machinery, record);
  machinery.store.update(record.id, withoutOwner);
}

/** A start that its manager did not live to finish: no caller has it, so nobody can miss it. */
async function takeBack(machinery: Machinery, record: VmRecord): Promise<void> {
  await endUnfinishedStart(machinery.host, record);
  await finish(machinery, record, {
    code: null,
    signal: null,
    cause: "start-failed",
    evidence: ["the manager ended while it started the VM"],
    at: machinery.host.clock.now(),
  });
}

/** Why a VM ended that nobody looked after: by the status that was written down, its cgroup, and its kept output. */
async function concludeUnseen(machinery: Machinery, record: VmRecord): Promise<VmExit> {
  const { host, settings } = machinery;
  const { process, layout } = record;
  const sighting = sightVm(machinery, record);
  const { at, ...exit } =
    process === undefined ? { code: null, signal: null } : await recordedExit(host, layout, process);
  const concluded = await concludeEnd(machinery, record, {
    exit,
    ...(at === undefined ? {} : { at }),
    log: readTail(host, settings, record.id, "log"),
    console: readTail(host, settings, record.id, "console"),
    isUnseen: true,
    isBootedSince: process !== undefined && process.bootId !== host.processes.self.bootId,
  });
  // Nothing else has the pid of a process that is still being waited for.
  const isReused = sighting.kind === "gone" && sighting.why.includes("another one");
  return isReused ? { ...concluded, evidence: [...concluded.evidence, sighting.why] } : concluded;
}

async function finish(machinery: Machinery, record: VmRecord, exit: VmExit): Promise<void> {
  enterEnd(machinery, record.id, exit);
  await finishRemoval(machinery, record);
}
