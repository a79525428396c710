import { fifosOf } from "../jailer/jail.ts";
import { isFirecrackerOf } from "../jailer/launch.ts";
import type { VmExit } from "../vm/exit.ts";
import { type VmRecord, withoutOwner } from "../vm/record.ts";
import { isLive } from "../vm/state.ts";
import { connectApi } from "./api.ts";
import { Drain } from "./drain.ts";
import { enterEnd } from "./ending.ts";
import { concludeExit } from "./exit-cause.ts";
import type { Machinery } from "./machinery.ts";
import { outputFiles } from "./output-files.ts";
import { removeObjects } from "./remove.ts";
import { Supervision } from "./supervision.ts";

/** Whether a manager that lives looks after the VM. */
export function hasLivingOwner({ host }: Machinery, record: VmRecord): boolean {
  return record.owner !== undefined && host.processes.isAlive(record.owner);
}

/**
 * Whether the recorded process is this VM's Firecracker, beyond doubt: pid, start time and boot agree, and its command
 * line has the VM's id.
 */
export function isStillRunning({ host }: Machinery, record: VmRecord): boolean {
  const { process, layout } = record;
  return process !== undefined && host.processes.isAlive(process) && isFirecrackerOf(host, layout, process.pid);
}

/**
 * Takes over a VM that runs without an owner: its output is read on from where its last owner stopped. Its exit status
 * can not be had any more, as only a parent gets it; why it ended is then concluded from its log and its cgroup.
 *
 * @returns `undefined` where it has ended, or another manager was faster.
 */
export function adoptVm(machinery: Machinery, record: VmRecord): Supervision | undefined {
  const { host, store } = machinery;
  const { process } = record;
  if (process === undefined) throw new TypeError(`${record.id} has no process to adopt`);
  const isFree = (current: VmRecord) => isLive(current.state) && !hasLivingOwner(machinery, current);
  const owned = store.update(record.id, (current) =>
    isFree(current) ? { ...current, owner: host.processes.self } : current,
  );
  if (owned.owner?.pid !== host.processes.self.pid) return undefined;
  const fifos = fifosOf(record.layout);
  const files = outputFiles(machinery, record.id);
  const drains = {
    console: new Drain(host.fifos.read(fifos.console), files.console),
    log: new Drain(host.fifos.read(fifos.log), files.log),
    metrics: new Drain(host.fifos.read(fifos.metrics), files.metrics),
  };
  const watch = new AbortController();
  const ended = host.processes.waitForEnd(process, watch.signal).then(() => ({ code: null, signal: null }));
  const client = connectApi(host, record);
  // A process that has let go of the VM would never end, if it went on to look for the VM's end.
  return new Supervision(machinery, { record: owned, drains, ended, client, unref: () => watch.abort() });
}

/**
 * Puts the records in order with the host: VMs that ended while nobody looked are concluded and removed, starts that
 * were cut off are taken back. VMs that run, and VMs of other living managers, are not touched.
 *
 * @returns What could not be removed, with the VM's id.
 */
export async function reconcile(machinery: Machinery): Promise<{ id: string; error: unknown }[]> {
  const failures: { id: string; error: unknown }[] = [];
  for (const record of machinery.store.list()) {
    try {
      await settle(machinery, record);
    } catch (error) {
      failures.push({ id: record.id, error });
    }
  }
  return failures;
}

/** What an earlier manager left undone of a VM: a removal, a start, or seeing its end. */
export type Due = "remove" | "take-back" | "conclude";

/** What is left to do of a VM that nobody looks after; `undefined` where nothing is. */
export function dueOf(machinery: Machinery, record: VmRecord): Due | undefined {
  if (hasLivingOwner(machinery, record)) return undefined;
  // A removal that failed, or was cut off, is tried again.
  if (!isLive(record.state)) return hasRemains(machinery, record) ? "remove" : undefined;
  // A start that was told to stop has not got so far as to run either.
  const isUnfinished = record.state === "stopping" && record.startedAt === undefined;
  if (record.state === "starting" || isUnfinished) return "take-back";
  return isStillRunning(machinery, record) ? undefined : "conclude";
}

/** Does what an earlier manager left undone of one VM; nothing where nothing is. */
export async function settle(machinery: Machinery, record: VmRecord): Promise<void> {
  switch (dueOf(machinery, record)) {
    case "remove":
      return finishRemoval(machinery, record);
    case "take-back":
      return takeBack(machinery, record);
    case "conclude":
      return concludeUnseen(machinery, record);
    case undefined:
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
  const { host } = machinery;
  for (const pid of findProcesses(machinery, record)) {
    const identity = host.processes.identify(pid);
    if (identity === undefined || !isFirecrackerOf(host, record.layout, pid)) continue;
    host.processes.signal(identity, "SIGKILL");
    await host.processes.waitForEnd(identity, AbortSignal.timeout(10_000));
  }
  await finish(machinery, record, {
    code: null,
    signal: null,
    cause: "start-failed",
    evidence: ["the manager ended while it started the VM"],
    at: host.clock.now(),
  });
}

/** Processes that have the VM's id on their command line and its jail as their base: the jailer or Firecracker. */
function findProcesses({ host }: Machinery, record: VmRecord): number[] {
  const pids = host.files
    .list(host.roots.proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids.filter((pid) => isFirecrackerOf(host, record.layout, pid));
}

async function concludeUnseen(machinery: Machinery, record: VmRecord): Promise<void> {
  const { host } = machinery;
  const isReboot = record.process !== undefined && record.process.bootId !== host.processes.self.bootId;
  const concluded = concludeExit({
    exit: { code: null, signal: null },
    at: host.clock.now(),
    log: "",
    console: "",
    ...(record.endedBy === undefined ? {} : { endedBy: record.endedBy }),
  });
  await finish(
    machinery,
    record,
    isReboot
      ? { ...concluded, cause: "host-reboot", evidence: ["the host has been booted since"] }
      : { ...concluded, evidence: ["it ended while no manager looked after it"] },
  );
}

async function finish(machinery: Machinery, record: VmRecord, exit: VmExit): Promise<void> {
  enterEnd(machinery, record.id, exit);
  await finishRemoval(machinery, record);
}
