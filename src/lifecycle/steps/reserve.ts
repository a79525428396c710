import { ensureParent } from "../../cgroup/parent.ts";
import type { LeaseRange } from "../../store/leases.ts";
import { taken } from "../../store/store.ts";
import { messageOf, WarderError } from "../../vm/error.ts";
import { type VmRecord, withoutOwner } from "../../vm/record.ts";
import { hasEnded } from "../../vm/state.ts";
import { enterEnd } from "../ending.ts";
import type { Step } from "../engine.ts";
import { keepKey } from "../idempotency.ts";
import { asOwner, hasLivingOwner } from "../owner.ts";
import { ledgerOf } from "../plan.ts";
import { withRestingIds } from "../quarantine.ts";
import type { StartContext } from "../start-context.ts";
import { renewRecord } from "./renew.ts";

/** Writes down the VM, its leases and everything that is about to be made, in one transaction. */
export const reserve: Step<StartContext> = {
  name: "reserve",
  undoAlways: true,
  async run(context) {
    if (context.record !== undefined) return;
    const { renewal } = context;
    if (renewal === undefined) refuseKnown(context);
    refuseForeign(context);
    context.record = await withRestingIds(context.machinery, () =>
      renewal === undefined ? addRecord(context) : renewRecord(context, renewal, () => leaseUser(context)),
    );
  },
  undo(context, left) {
    // A VM that was there before stays, as one whose start has failed: its driver writes that down.
    if (context.record === undefined || context.renewal !== undefined) return;
    if (left.length > 0) keepForGc(context, left);
    else context.machinery.store.forget(context.plan.id);
    delete context.record;
  },
};

/** The ledger alone knows what is left: so the VM stays, as one that has failed and is anybody's to remove. */
function keepForGc({ machinery, plan }: StartContext, left: readonly unknown[]): void {
  const { store, host } = machinery;
  const evidence = left.map((failure) => `not cleaned up: ${messageOf(failure)}`);
  enterEnd(machinery, plan.id, { code: null, signal: null, at: host.clock.now(), cause: "start-failed", evidence });
  store.update(plan.id, withoutOwner);
}

function addRecord(context: StartContext): VmRecord {
  const { machinery, plan, idempotency } = context;
  const { store, host } = machinery;
  return store.transaction(() => {
    store.add(draftRecord(context, { uid: 0, gid: 0 }));
    if (idempotency !== undefined) keepKey(store, idempotency, plan.id);
    const user = leaseUser(context);
    context.user = user;
    store.enter(plan.id, ledgerOf(plan));
    return store.update(plan.id, (record) => ({ ...record, ...user, owner: asOwner(host) }));
  });
}

/** A record of a VM that is about to have its first run. */
export function draftRecord(
  context: Pick<StartContext, "plan" | "machinery">,
  user: { uid: number; gid: number },
): VmRecord {
  const { plan, machinery } = context;
  return {
    id: plan.id,
    state: "starting",
    generation: 0,
    incarnation: 1,
    createdAt: machinery.host.clock.now(),
    spec: plan.spec,
    binaries: plan.binaries,
    jailed: plan.spec.jailed,
    ...user,
    layout: plan.layout,
    ...(plan.cgroup === undefined ? {} : { cgroup: plan.cgroup.placement }),
    timings: {},
    history: [],
  };
}

/**
 * A uid that no other VM has, and a gid of the same number, unless the caller names them. Inside the transaction that
 * writes the VM down.
 *
 * @throws {@link WarderError} `ids-exhausted`: see {@link withRestingIds}.
 */
export function leaseUser({ machinery, plan }: Pick<StartContext, "plan" | "machinery">): { uid: number; gid: number } {
  const { store, settings, host } = machinery;
  if (!plan.spec.jailed) return { uid: host.processes.effectiveUid, gid: host.processes.effectiveUid };
  if (plan.spec.uid !== undefined) {
    const user = { uid: plan.spec.uid, gid: plan.spec.gid ?? plan.spec.uid };
    if (!store.leases.claim("uid", user.uid, plan.id)) throw idTaken("user", user.uid);
    if (!store.leases.claim("gid", user.gid, plan.id)) throw idTaken("group", user.gid);
    return user;
  }
  for (;;) {
    const uid = store.leases.take("uid", settings.uidRange, plan.id);
    if (uid === undefined) throw uidsExhausted(settings.uidRange);
    // A group of this number may have been asked for by another VM; the user id then stays unused beside it.
    if (store.leases.claim("gid", uid, plan.id)) return { uid: Number(uid), gid: Number(uid) };
  }
}

function refuseKnown({ machinery, plan }: StartContext): void {
  const existing = machinery.store.get(plan.id);
  // One that has ended gives way, once what is left of it has been removed.
  if (existing !== undefined && (!hasEnded(existing.state) || hasLivingOwner(machinery, existing)))
    throw taken(existing);
}

/** What lies there already is somebody else's: it must be seen before it stands in our ledger. */
function refuseForeign({ machinery, plan }: StartContext): void {
  const { host } = machinery;
  const { directory, alias, socket } = plan.layout;
  const occupied = [directory, alias, socket].filter((path) => host.files.inspect(path) !== undefined);
  if (occupied.length > 0) {
    throw new WarderError("jail-exists", {
      doing: `making the jail of ${plan.id}`,
      why: `there is something already at ${[...new Set(occupied)].join(" and ")}`,
      cure: "Use another id; `warder gc --dry-run` says whose it is",
    });
  }
  if (plan.cgroup !== undefined) ensureParent(host, plan.cgroup.placement, plan.cgroup.controllers);
}

function idTaken(kind: "user" | "group", id: number): WarderError {
  return new WarderError("ids-exhausted", {
    doing: `leasing the ${kind} id ${id}`,
    why: "another VM has it, or had it, and no two VMs may share one",
    cure: "Leave `uid` and `gid` out: every VM then gets one of its own",
  });
}

function uidsExhausted(range: LeaseRange): WarderError {
  return new WarderError("ids-exhausted", {
    doing: "leasing a user id",
    why: `all ${range.count} from ${range.first} on are in use`,
    cure: "Remove VMs that have ended, or widen WARDER_UID_RANGE",
  });
}
