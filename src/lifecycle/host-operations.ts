import type { FirecrackerClient } from "../firecracker/client.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { killLadder, type ShutdownLadder, type ShutdownOutcome } from "../vm/shutdown.ts";
import { hasEnded, isLive } from "../vm/state.ts";
import { adoptVm } from "./adopt.ts";
import { connectApi } from "./api.ts";
import { isStillRunning, refuseStranger } from "./identity.ts";
import { inOtherHands } from "./in-other-hands.ts";
import type { Machinery } from "./machinery.ts";
import type { Operations, Power } from "./operations.ts";
import { outputPaths } from "./output-files.ts";
import { hasLivingOwner, isOwn } from "./owner.ts";
import { claimVm, disclaimVm } from "./ownership.ts";
import { ensureRateLimits } from "./rate-limits.ts";
import { settle } from "./reconcile.ts";
import { removeObjects } from "./remove.ts";
import type { ShutdownOptions } from "./shutdown.ts";
import { startVm } from "./start.ts";
import type { StartContext } from "./start-context.ts";
import { climbDown } from "./stop.ts";
import { Supervision } from "./supervision.ts";

/** What drivers have done to this host. */
export function hostOperations(machinery: Machinery): Operations {
  const { host, store } = machinery;
  return {
    store,
    clock: host.clock,
    warn: machinery.warn,
    observe: async (name, vmId, work) => machinery.observer.watch({ kind: "operation", name, vmId }, work),
    isOwn: (record) => isOwn(machinery, record),
    hasLivingOwner: (record) => hasLivingOwner(machinery, record),
    isStillRunning: (record) => isStillRunning(machinery, record),
    claimRestart: (id) => {
      const isWaiting = ({ state }: VmRecord) => state === "restarting";
      const record = claimVm(machinery, id, isWaiting) ?? store.get(id);
      return record !== undefined && isWaiting(record) && isOwn(machinery, record);
    },
    start: async (spec, options, origin) => supervise(machinery, await startVm(machinery, spec, options, origin)),
    adopt: (record) => adoptVm(machinery, record),
    stopForOwner: (record, ladder, options) => stopForOwner(machinery, record, ladder, options),
    setPower: (record, power, signal) =>
      withApi(machinery, record, (client) =>
        power === "paused" ? client.pause({ signal }) : resume(client, record, signal),
      ),
    readPower: (record) => withApi(machinery, record, readPower),
    settle: (record) => settle(machinery, record),
    clear: (id) => clear(machinery, id),
    clearOwn: (id) => clearOwn(machinery, id),
    remove: (id, mayRemove) => remove(machinery, id, mayRemove),
  };
}

/** Whatever of a VM may be on the host stands in the ledger. One that is to be started again is its owner's to clear. */
async function clear(machinery: Machinery, id: VmId): Promise<void> {
  const { store } = machinery;
  const record = store.get(id);
  if (record === undefined || store.ledger(id).length === 0) return;
  if (isOwn(machinery, record) && !hasEnded(record.state)) return removeObjects(machinery, record);
  await whileClaimed(machinery, id, (claimed) => removeObjects(machinery, claimed));
}

async function clearOwn(machinery: Machinery, id: VmId): Promise<void> {
  const { store } = machinery;
  const record = store.get(id);
  if (record === undefined) return;
  try {
    if (store.ledger(id).length > 0) await removeObjects(machinery, record);
  } finally {
    if (hasEnded(record.state)) disclaimVm(machinery, id);
  }
}

async function remove(machinery: Machinery, id: VmId, mayRemove: (record: VmRecord) => void): Promise<void> {
  const { host, store, settings } = machinery;
  await whileClaimed(machinery, id, async (record) => {
    mayRemove(record);
    // What could not be removed at the VM's end must not be forgotten before it is.
    if (store.ledger(id).length > 0) await removeObjects(machinery, record);
    await host.files.removeTree(outputPaths(settings, id).directory);
    store.forget(id);
  });
}

async function whileClaimed(machinery: Machinery, id: VmId, work: (record: VmRecord) => Promise<void>): Promise<void> {
  const record = claimVm(machinery, id, ({ state }) => !isLive(state));
  if (record === undefined) throw inOtherHands(id, "removing what belongs to");
  try {
    await work(record);
  } finally {
    disclaimVm(machinery, id);
  }
}

/** Watches over what was started, until its end. */
function supervise(machinery: Machinery, context: StartContext): Supervision {
  const { record, drains, ended, client, plan, launch, wanted, heldProof: held } = context;
  if (record === undefined || drains === undefined || ended === undefined || launch === undefined)
    throw new TypeError("the start was not finished");
  const timed = machinery.store.update(plan.id, (current) => ({ ...current, timings: context.timings }));
  return new Supervision(machinery, {
    record: timed,
    drains,
    ended,
    client,
    letGo: () => {
      launch.child.unref();
      context.letGo.abort();
    },
    ...(wanted === undefined || held === undefined ? {} : { proof: { wanted, held } }),
  });
}

/** Lets the guest's time go on, within the limits that it had. */
async function resume(client: FirecrackerClient, record: VmRecord, signal: AbortSignal): Promise<void> {
  await client.resume({ signal });
  await ensureRateLimits(client, record, signal);
}

async function stopForOwner(
  machinery: Machinery,
  record: VmRecord,
  ladder: ShutdownLadder,
  options: ShutdownOptions,
): Promise<ShutdownOutcome> {
  const { host } = machinery;
  const process = refuseStranger(machinery, record, `stopping ${record.id}`);
  if (process === undefined) return { endedBy: undefined, rungs: [] };
  const client = connectApi(host, record);
  const over = new AbortController();
  try {
    const ended = host.processes.waitForEnd(process, over.signal);
    ended.catch(() => undefined);
    // A guest that has not run yet has nothing to put in order.
    const rungs = record.startedAt === undefined ? killLadder : ladder;
    return await climbDown(machinery, { record, ended, client }, rungs, options);
  } finally {
    over.abort();
    client.close();
  }
}

async function withApi<T>(
  { host }: Machinery,
  record: VmRecord,
  work: (client: FirecrackerClient) => Promise<T>,
): Promise<T> {
  const client = connectApi(host, record);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

async function readPower(client: FirecrackerClient): Promise<Power> {
  const { state } = await client.instanceInfo();
  if (state === "Not started")
    throw new WarderError("wrong-state", { doing: "asking for a guest's state", why: "it was not started" });
  return state === "Paused" ? "paused" : "running";
}
