import type { FirecrackerClient } from "../firecracker/client.ts";
import { WarderError } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import { killLadder, type ShutdownLadder, type ShutdownOutcome } from "../vm/shutdown.ts";
import { adoptVm, hasLivingOwner } from "./adopt.ts";
import { connectApi } from "./api.ts";
import { isStillRunning, refuseStranger } from "./identity.ts";
import type { Machinery } from "./machinery.ts";
import type { Operations, Power } from "./operations.ts";
import { outputPaths } from "./output-files.ts";
import { settle } from "./reconcile.ts";
import { removeObjects } from "./remove.ts";
import type { ShutdownOptions } from "./shutdown.ts";
import { claimVm, disclaimVm, isOwn } from "./ownership.ts";
import { ensureRateLimits } from "./rate-limits.ts";
import { startVm } from "./start.ts";
import type { StartContext } from "./start-context.ts";
import { climbDown } from "./stop.ts";
import { Supervision } from "./supervision.ts";

/** What drivers have done to this host. */
export function hostOperations(machinery: Machinery): Operations {
  const { host, store } = machinery;
  const isOwn = ({ owner }: VmRecord) => owner?.pid === host.processes.self.pid && host.processes.isAlive(owner);
  return {
    store,
    clock: host.clock,
    warn: machinery.warn,
    observe: async (name, vmId, work) => machinery.observer.watch({ kind: "operation", name, vmId }, work),
    isOwn,
    hasLivingOwner: (record) => hasLivingOwner(machinery, record),
    isStillRunning: (record) => isStillRunning(machinery, record),
    claim: (id) => {
      const isFree = (record: VmRecord) =>
        record.state === "restarting" && !isOwn(record) && !hasLivingOwner(machinery, record);
      const change = (record: VmRecord) => (isFree(record) ? { ...record, owner: host.processes.self } : record);
      const record = store.update(id, change);
      return record.state === "restarting" && isOwn(record);
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
    clear: async (record) => {
      // Whatever of a VM may be on the host stands in the ledger.
      if (store.ledger(record.id).length > 0) await removeObjects(machinery, record);
    },
    forget: async ({ id }) => {
      store.forget(id);
      await host.files.removeTree(outputPaths(machinery.settings, id).directory);
    },
  };
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
    unref: () => launch.child.unref(),
    ...(wanted === undefined || held === undefined ? {} : { proof: { wanted, held } }),
  });
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

/** Lets the guest's time go on, within the limits that it had. */
async function resume(client: FirecrackerClient, record: VmRecord, signal: AbortSignal): Promise<void> {
  await client.resume({ signal });
  await ensureRateLimits(client, record, signal);
}

async function readPower(client: FirecrackerClient): Promise<Power> {
  const { state } = await client.instanceInfo();
  if (state === "Not started")
    throw new WarderError("wrong-state", { doing: "asking for a guest's state", why: "it was not started" });
  return state === "Paused" ? "paused" : "running";
}
