import { notFound } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { hasEnded, isLive, type VmState } from "../vm/state.ts";
import { isInOtherHands } from "./in-other-hands.ts";
import type { Operations } from "./operations.ts";
import type { BeginOptions, Runs } from "./runs.ts";

/** How long an owner elsewhere may take beside the start itself: to see an end, and to remove what is left of it. */
const OWNER_TIMEOUT_MS = 15_000;

/**
 * The run of a VM after the one that its record shows: begun by this process, or waited for where that is another one's to
 * do, or another one was faster.
 */
export class NextRun {
  readonly #id: VmId;
  readonly #operations: Operations;
  readonly #runs: Runs;

  constructor(operations: Operations, id: VmId, runs: Runs) {
    this.#id = id;
    this.#operations = operations;
    this.#runs = runs;
  }

  /**
   * Has the next run begun from one of these states, and settles when it has.
   *
   * @param isCarriedOn - It follows from the run before: a row of restarts goes on with it.
   */
  async begin(
    { incarnation: before }: VmRecord,
    options: BeginOptions,
    from: readonly VmState[],
    isCarriedOn: boolean,
  ): Promise<void> {
    const within = this.#within(options.signal);
    const isBegun = ({ state, incarnation }: VmRecord) => incarnation > before && state !== "starting";
    const isOver = ({ state, incarnation }: VmRecord) =>
      incarnation === before && hasEnded(state) && !from.includes(state);
    for (;;) {
      const isTurn = (record: VmRecord) => isBegun(record) || isOver(record) || this.#isOurs(record, from);
      const record = await this.#runs.until(isTurn, within);
      if (record === undefined) throw notFound(this.#id);
      if (isOver(record)) throw endedInstead(record);
      if (isBegun(record)) return refuseEnded(record);
      if (await this.#attempt(record, options, isCarriedOn)) return;
    }
  }

  /** Settles when a start is over that was begun before: by this call's first attempt, or by another process. */
  async join(signal: AbortSignal): Promise<void> {
    const isSettled = ({ state, isToReboot }: VmRecord) => state !== "starting" && isToReboot !== true;
    const record = await this.#runs.until(isSettled, this.#within(signal));
    if (record === undefined) throw notFound(this.#id);
    refuseEnded(record);
  }

  /** What a restart policy waits for is due now. */
  hasten(): void {
    const { store, clock } = this.#operations;
    const nextAt = clock.now();
    store.update(this.#id, (record) => {
      const { state, restart } = record;
      const isWaiting = state === "restarting" && restart !== undefined && (restart.nextAt ?? 0) > nextAt;
      return isWaiting ? { ...record, restart: { ...restart, nextAt } } : record;
    });
  }

  #isOurs(record: VmRecord, from: readonly VmState[]): boolean {
    if (!from.includes(record.state)) return false;
    if (record.state === "restarting") return this.#operations.claimRestart(this.#id);
    return !this.#operations.hasLivingOwner(record);
  }

  /** False where another process has the VM in hand at this moment. */
  async #attempt(record: VmRecord, options: BeginOptions, isCarriedOn: boolean): Promise<boolean> {
    this.#runs.endComeback();
    try {
      await this.#runs.beginAgain(record, options, isCarriedOn);
      return true;
    } catch (error) {
      if (isInOtherHands(error)) return false;
      throw error;
    }
  }

  #within(signal: AbortSignal): AbortSignal {
    const { startTimeoutMs } = this.#operations.store.get(this.#id)?.spec ?? { startTimeoutMs: 0 };
    return AbortSignal.any([signal, AbortSignal.timeout(OWNER_TIMEOUT_MS + startTimeoutMs)]);
  }
}

/** Of a start that was waited for: one that failed has not come to a run. */
function refuseEnded(record: VmRecord): void {
  if (!isLive(record.state) && record.startedAt === undefined) throw endedInstead(record);
}

function endedInstead({ id, state, exit, history }: VmRecord): WarderError {
  const { evidence = ["nothing is known of why"] } = exit ?? history.at(-1)?.exit ?? {};
  return new WarderError("wrong-state", {
    doing: `start of ${id}`,
    why: `it is ${state} instead: ${evidence.join("; ")}`,
    cure: `See \`warder inspect ${id}\``,
  });
}
