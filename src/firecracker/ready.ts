import type { Clock } from "../host/host.ts";
import { isWarderError, systemCodeOf, WarderError } from "../vm/error.ts";
import type { ProcessExit } from "../vm/process.ts";
import type { InstanceInfo, InstanceState } from "./answers.ts";
import type { FirecrackerClient } from "./client.ts";

/** How long to wait, and what ends the waiting. */
export interface ReadyOptions {
  readonly clock: Clock;
  /** Default 10 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Settles when the process has ended: waiting on for its answer would be in vain. */
  readonly exited?: Promise<ProcessExit>;
}

/** A connection to a socket that is there succeeds at once, so this is only how late its appearance is noticed. */
const FIRST_PAUSES_MS = 1;
const LATER_PAUSES_MS = 2;
const FIRST_ATTEMPTS = 20;
const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Waits until Firecracker answers as this VM and in this state. Nothing less is proof of a VM: a socket may be left
 * from another process, and a jailer's exit status says nothing. Firecracker answers only when it has built the VM of
 * its configuration file, so there is nothing to poll but the socket's appearance.
 *
 * @throws {@link WarderError} `start-timeout`; `firecracker-failed` where the process ends; `process-stranger` where
 * another VM's Firecracker answers; `wrong-state` where the VM is in a state that does not lead to the wanted one by
 * itself; `aborted`; what the client throws where it answers something else.
 */
export async function waitUntilReady(
  client: Pick<FirecrackerClient, "instanceInfo">,
  id: string,
  wantState: InstanceState,
  { clock, timeoutMs = DEFAULT_TIMEOUT_MS, signal, exited }: ReadyOptions,
): Promise<InstanceInfo> {
  const over = new AbortController();
  const within = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  const answered = poll(clock, client, { id, wantState, deadline: clock.monotonic() + timeoutMs, signal: within });
  const failed = exited?.then((exit) => Promise.reject(endedError(id, exit)));
  try {
    return await Promise.race(failed === undefined ? [answered] : [answered, failed]);
  } catch (error) {
    throw WarderError.from(error, "aborted", doingFor(id));
  } finally {
    over.abort();
    // The one that lost the race ends by that abort, and nobody waits for it.
    answered.catch(() => undefined);
  }
}

interface Wait {
  readonly id: string;
  readonly wantState: InstanceState;
  /** On the clock that never jumps. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

async function poll(clock: Clock, client: Pick<FirecrackerClient, "instanceInfo">, wait: Wait): Promise<InstanceInfo> {
  let last = "its socket was not there yet";
  for (let attempt = 0; ; attempt++) {
    const leftMs = Math.ceil(wait.deadline - clock.monotonic());
    if (leftMs <= 0) throw lateError(wait, last);
    const info = await ask(client, wait, leftMs);
    if (typeof info === "object" && isReady(info, wait)) return info;
    last = typeof info === "string" ? info : `it was ${info.state}`;
    await clock.sleep(attempt < FIRST_ATTEMPTS ? FIRST_PAUSES_MS : LATER_PAUSES_MS, wait.signal);
  }
}

/** The answer, or why there is none yet. */
async function ask(
  client: Pick<FirecrackerClient, "instanceInfo">,
  wait: Wait,
  timeoutMs: number,
): Promise<InstanceInfo | string> {
  try {
    return await client.instanceInfo({ timeoutMs, signal: wait.signal });
  } catch (error) {
    const system = systemCodeOf(error);
    // Not bound yet, or bound by a process that dies: its end is the better reason, and is about to be known.
    if (isWarderError(error) && error.code === "api-unreachable" && system !== undefined) {
      return `its socket was not served (${system})`;
    }
    if (isWarderError(error) && error.code === "deadline-exceeded")
      throw lateError(wait, "it took the request and did not answer");
    throw error;
  }
}

/** Of all states only `Not started` passes by itself. */
function isReady(info: InstanceInfo, { id, wantState }: Wait): boolean {
  if (info.id !== id) {
    throw new WarderError("process-stranger", {
      doing: doingFor(id),
      why: `the Firecracker of ${JSON.stringify(info.id.slice(0, 64))} answers on its socket`,
    });
  }
  if (info.state === wantState) return true;
  if (info.state === "Not started") return false;
  throw new WarderError("wrong-state", { doing: doingFor(id), why: `it is ${info.state}, not ${wantState}` });
}

function lateError({ id, wantState }: Wait, last: string): WarderError {
  return new WarderError("start-timeout", { doing: doingFor(id), why: `it was not ${wantState} in time: ${last}` });
}

function endedError(id: string, exit: ProcessExit): WarderError {
  const how = exit.signal === null ? `with status ${exit.code ?? "unknown"}` : `by ${exit.signal}`;
  return new WarderError("firecracker-failed", { doing: doingFor(id), why: `its process ended ${how}` });
}

function doingFor(id: string): string {
  return `waiting for the Firecracker of ${id}`;
}
