import type { Store } from "../store/store.ts";
import type { VmExit } from "../vm/exit.ts";
import type { VmId } from "../vm/id.ts";
import { addToHistory, type PastRun, type VmRecord } from "../vm/record.ts";
import { decideRestart, type RestartDecision } from "../vm/restart.ts";
import { isLive } from "../vm/state.ts";
import type { Machinery } from "./machinery.ts";

/**
 * Writes down how a run of a VM ended, and what follows from that: nothing, or another start, by the restart policy or
 * for a reboot. Whoever notices an end comes here, in whatever process; who comes second changes nothing.
 */
export function enterEnd(machinery: Pick<Machinery, "store" | "warn">, id: VmId, exit: VmExit): VmRecord {
  let decision = { verdict: "end", why: "its end was written down already" } as RestartDecision;
  const change = (record: VmRecord) => {
    // A restart that could not even begin, as with a kernel that is not there any more, ends like one that failed.
    const isOver = isLive(record.state) || (record.state === "restarting" && exit.cause === "start-failed");
    if (!isOver) return record;
    decision = whatFollows(record, exit);
    return endedRecord(record, exit, decision);
  };
  const ended = machinery.store.update(id, change, exit.cause);
  if (decision.verdict === "restart" && decision.retries > 0) {
    const { retries: retry, delayMs: in_ms } = decision;
    const evidence = exit.evidence.join("; ");
    machinery.warn("VM ended and will be started again", { vm_id: id, cause: exit.cause, evidence, retry, in_ms });
  }
  return ended;
}

/** What follows from an end: the restart policy decides, but for a reboot, and for a start that a caller waits for. */
export function whatFollows(record: VmRecord, exit: VmExit, random: number = Math.random()): RestartDecision {
  if (record.isToReboot === true) return { verdict: "restart", retries: 0, delayMs: 0 };
  const { startedAt, restart, spec } = record;
  if (startedAt === undefined && restart === undefined) return { verdict: "end", why: "whoever asked for it is told" };
  const ranMs = startedAt === undefined ? 0 : Math.max(0, exit.at - startedAt);
  return decideRestart(spec.restart, { cause: exit.cause, retries: restart?.retries ?? 0, ranMs }, random);
}

/** The record of a VM whose run is over. Pure. */
export function endedRecord(record: VmRecord, exit: VmExit, decision: RestartDecision): VmRecord {
  const { isToReboot: _isToReboot, ...rest } = record;
  if (decision.verdict === "end") return { ...rest, state: exit.cause === "start-failed" ? "failed" : "exited", exit };
  // One that could not begin is no run of its own.
  const history = record.state === "restarting" ? record.history : addToHistory(record.history, pastRun(record, exit));
  const restart = { retries: decision.retries, nextAt: exit.at + decision.delayMs };
  return { ...rest, state: "restarting", history, restart };
}

/**
 * Writes down that the VM is to stop, before anything is done about it: a start is given up, here or in another process,
 * and no other follows, neither by the restart policy nor for a reboot.
 */
export function enterStop(store: Store, id: VmId): VmRecord {
  return store.update(id, (record) => {
    const { isToReboot, ...rest } = record;
    if (record.state === "restarting") return withoutRestart(record);
    if (record.state === "starting") return { ...rest, state: "stopping", endedBy: "sigkill" };
    return isToReboot === undefined ? record : rest;
  });
}

/** A start that went on a row of restarts is left to the next manager: it is due at once, and counts for nothing. */
export function leaveRestart(store: Store, id: VmId, now: number): VmRecord | undefined {
  const { state, restart } = store.get(id) ?? {};
  if ((state !== "starting" && state !== "restarting") || restart === undefined) return undefined;
  return store.update(id, (record) => ({ ...record, state: "restarting", restart: { ...restart, nextAt: now } }));
}

/** The record of a VM that was to be started again, and is not any more: as its last run left it. Pure. */
export function withoutRestart(record: VmRecord): VmRecord {
  const { restart: _restart, owner: _owner, ...rest } = record;
  const last = record.history.at(-1);
  if (last === undefined) throw new TypeError(`${record.id} is ${record.state} and has no run behind it`);
  const { startedAt, exit } = last;
  return {
    ...rest,
    state: exit.cause === "start-failed" ? "failed" : "exited",
    ...(startedAt === undefined ? {} : { startedAt }),
    history: record.history.slice(0, -1),
    exit,
  };
}

function pastRun({ incarnation, startedAt }: VmRecord, exit: VmExit): PastRun {
  return { incarnation, ...(startedAt === undefined ? {} : { startedAt }), exit };
}
