import type { JailUser } from "../../jailer/jail.ts";
import { notFound } from "../../store/store.ts";
import type { OwnerIdentity } from "../../vm/process.ts";
import { addToHistory, type VmRecord } from "../../vm/record.ts";
import { inOtherHands } from "../in-other-hands.ts";
import { asOwner, hasLivingOwner, isOwn } from "../owner.ts";
import { ledgerOf, type StartPlan } from "../plan.ts";
import type { Renewal, StartContext } from "../start-context.ts";

/**
 * What `reserve` does for a VM that is written down already: the record gets a new run, in one transaction.
 *
 * @throws {@link WarderError} `wrong-state` where the VM's state has changed since it was decided to start it.
 */
export function renewRecord(context: StartContext, renewal: Renewal, leaseUser: () => JailUser): VmRecord {
  const { machinery, plan } = context;
  const { store, host } = machinery;
  return store.transaction(() => {
    const before = store.get(plan.id);
    if (before === undefined) throw notFound(plan.id);
    if (!renewal.from.includes(before.state)) throw inOtherHands(before.id, "starting");
    // What is left of the last run is being removed, or the next one is another process's to begin.
    if (hasLivingOwner(machinery, before) && !(before.state === "restarting" && isOwn(machinery, before)))
      throw inOtherHands(before.id, "starting");
    // What was created has its leases; they were given back when a run ended.
    const user = before.state === "created" ? { uid: before.uid, gid: before.gid } : leaseUser();
    context.user = user;
    store.enter(plan.id, ledgerOf(plan));
    return store.update(plan.id, (record) => renewedRecord(record, { plan, user, renewal, owner: asOwner(host) }));
  });
}

/** What a run begins with. */
interface NewRun {
  readonly plan: StartPlan;
  readonly user: JailUser;
  readonly renewal: Renewal;
  readonly owner: OwnerIdentity;
}

/** The record at the begin of another run: what was of the last one is history. Pure. */
export function renewedRecord(record: VmRecord, { plan, user, renewal, owner }: NewRun): VmRecord {
  const { process: _process, rootIdentity: _root, stranger: _stranger, ...known } = record;
  const { isolation: _isolation, endedBy: _endedBy, cgroup: _cgroup, ...rest } = known;
  const { exit, startedAt, restart, startKey: oldKey, isToReboot: _isToReboot, ...kept } = rest;
  const { incarnation, history } = record;
  const past =
    exit === undefined ? undefined : { incarnation, ...(startedAt === undefined ? {} : { startedAt }), exit };
  // A call whose run has ended since, and was begun again by its policy, has begun this one too.
  const startKey = renewal.startKey ?? (renewal.isCarriedOn ? oldKey : undefined);
  return {
    ...kept,
    ...user,
    state: "starting",
    incarnation: incarnation + 1,
    owner,
    binaries: plan.binaries,
    layout: plan.layout,
    ...(plan.cgroup === undefined ? {} : { cgroup: plan.cgroup.placement }),
    timings: {},
    history: past === undefined ? history : addToHistory(history, past),
    ...(renewal.isCarriedOn ? { restart: { retries: restart?.retries ?? 0 } } : {}),
    ...(startKey === undefined ? {} : { startKey }),
  };
}
