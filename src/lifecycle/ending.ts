import type { VmExit } from "../vm/exit.ts";
import type { VmId } from "../vm/id.ts";
import { addToHistory, type VmRecord } from "../vm/record.ts";
import { decideRestart, type RestartDecision } from "../vm/restart.ts";
import { isLive } from "../vm/state.ts";
import type { Machinery } from "./machinery.ts";

/**
 * Writes down how a run of a VM ended, and what follows from that: nothing, or another start, by the restart policy or
 * for a reboot. Whoever notices an end comes here, in whatever process; who comes second changes nothing.
 */
export function enterEnd(machinery: Pick<Machinery, "store" | "warn">, id: VmId, exit: VmExit): VmRecord {
  let decision = { verdict: "end", why: "its end was written down already" } as RestartDecision;
  const ended = machinery.store.update(
    id,
    (record) => {
      if (!isLive(record.state)) return record;
      decision = whatFollows(record, exit);
      return endedRecord(record, exit, decision);
    },
    exit.cause,
  );
  if (decision.verdict === "restart" && exit.cause !== "stopped" && exit.cause !== "killed") {
    const { retries: retry, delayMs: in_ms } = decision;
    machinery.warn("VM ended and will be started again", { vm_id: id, cause: exit.cause, retry, in_ms });
  }
  return ended;
}

/** What follows from an end: the restart policy decides, but for a reboot, and for a start that a caller waits for. */
export function whatFollows(record: VmRecord, exit: VmExit, random: number = Math.random()): RestartDecision {
  if (record.isToReboot === true) return { verdict: "restart", retries: 0, delayMs: 0 };
  const isCallersStart = record.startedAt === undefined && record.restart === undefined;
  if (isCallersStart) return { verdict: "end", why: "its caller is told" };
  const ranMs = record.startedAt === undefined ? 0 : Math.max(0, exit.at - record.startedAt);
  return decideRestart(
    record.spec.restart,
    { cause: exit.cause, retries: record.restart?.retries ?? 0, ranMs },
    random,
  );
}

/** The record of a VM whose run is over. Pure. */
export function endedRecord(record: VmRecord, exit: VmExit, decision: RestartDecision): VmRecord {
  const { isToReboot: _isToReboot, ...rest } = record;
  if (decision.verdict === "end") return { ...rest, state: exit.cause === "start-failed" ? "failed" : "exited", exit };
  const { incarnation, startedAt } = record;
  const run = { incarnation, ...(startedAt === undefined ? {} : { startedAt }), exit };
  const restart = { retries: decision.retries, nextAt: exit.at + decision.delayMs };
  return { ...rest, state: "restarting", history: addToHistory(record.history, run), restart };
}
