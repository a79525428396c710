import { Deadline } from "../host/deadline.ts";
import { notFound } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import type { VmExit } from "../vm/exit.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { killLadder, type ShutdownLadder, type ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmSpec } from "../vm/spec.ts";
import { canTransition, decide, isLive, type VmRequest, type VmState } from "../vm/state.ts";
import { abortable } from "./abortable.ts";
import { CutShort, type Overtaker } from "./cut-short.ts";
import { enterStop } from "./ending.ts";
import type { Idempotency } from "./idempotency.ts";
import { isInOtherHands } from "./in-other-hands.ts";
import { NextRun } from "./next-run.ts";
import type { Operations, Power, Run } from "./operations.ts";
import { CallQueue } from "./queue.ts";
import { Runs } from "./runs.ts";
import type { ShutdownOptions } from "./shutdown.ts";
import type { StartOptions } from "./start.ts";

/** How long an owner elsewhere may take to do what follows from a request: see an end, remove a VM, start it again. */
const OWNER_TIMEOUT_MS = 15_000;

const NOTHING_DONE: ShutdownOutcome = Object.freeze({ endedBy: undefined, rungs: [] });

const startable: readonly VmState[] = ["created", "exited", "failed", "restarting"];
const beginnings = ["run", "start", "restart", "reboot"];
/** Calls that another overtakes: what they are for is not wanted any more. */
const overtaken: Readonly<Record<Overtaker, readonly string[]>> = {
  stop: beginnings,
  kill: [...beginnings, "pause", "resume", "prove"],
  close: [...beginnings, "pause", "resume", "prove", "stop", "kill", "remove"],
};

/** Gives a call up. */
interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

/** A call that begins a run, and may be the retry of one that did. */
export interface BeginCall extends StartOptions {
  readonly idempotencyKey?: string;
}

/** A call that ends a run. */
export interface EndCall extends Cancellable {
  /** Default: as the VM was made. */
  readonly ladder?: ShutdownLadder | undefined;
}

/**
 * Leads one VM: takes calls one at a time, decides what each comes to in the state that the VM is in, and has it done.
 * The record in the store is the only truth about the state, as other processes may lead the same VM: each step from a
 * state to the next is one transaction there, which looks at the state first.
 */
export class Driver {
  readonly id: VmId;
  readonly #operations: Operations;
  readonly #queue: CallQueue;
  readonly #runs: Runs;
  readonly #next: NextRun;
  readonly #onIdle: (driver: Driver) => void;
  #stopping: { readonly cut: AbortController; readonly outcome: Promise<ShutdownOutcome> } | undefined;
  #waiters = 0;
  #isClosed: boolean;

  /** @param isClosed - The manager lets go of its VMs: no call is taken any more. */
  constructor(operations: Operations, id: VmId, onIdle: (driver: Driver) => void, isClosed = false) {
    this.id = id;
    this.#isClosed = isClosed;
    this.#operations = operations;
    this.#queue = new CallQueue(operations.clock, id);
    this.#runs = new Runs(
      operations,
      id,
      (signal) => this.#restart(signal),
      () => this.#settleDown(),
    );
    this.#next = new NextRun(operations, id, this.#runs);
    this.#onIdle = onIdle;
  }

  /** Makes the VM and starts it; where that fails nothing is left of it. */
  make(spec: VmSpec, options: StartOptions, idempotency?: Idempotency): Promise<void> {
    const origin = idempotency === undefined ? {} : { idempotency };
    return this.#call("run", options, async (signal) => {
      await this.#runs.settled();
      await this.#runs.begin(spec, { ...options, signal }, origin);
    });
  }

  /** Starts a VM that was created, or that has ended. */
  start(options: BeginCall = {}): Promise<void> {
    return this.#call("start", options, async (signal) => {
      const record = this.#need();
      if (isRetry(record, options) || !this.#may("start", record)) return this.#next.join(signal);
      if (record.state === "restarting") this.#next.hasten();
      return this.#next.begin(record, { ...options, signal }, startable, false);
    });
  }

  /** Ends the VM by a ladder. A start under way is given up, and so is one that waits for its turn. */
  async stop({ ladder, signal }: EndCall = {}): Promise<ShutdownOutcome> {
    this.#need();
    this.#overtake("stop");
    return this.#call("stop", { signal, isUrgent: true }, async (within) => {
      const cut = new AbortController();
      const outcome = this.#shutDown(ladder, { signal: within, cut: cut.signal });
      this.#stopping = { cut, outcome };
      return outcome.finally(() => {
        this.#stopping = undefined;
      });
    });
  }

  /** Ends the VM at once; a stop that is under way comes to its last rung then. */
  async kill({ signal }: Cancellable = {}): Promise<ShutdownOutcome> {
    this.#need();
    this.#overtake("kill");
    if (this.#stopping !== undefined) {
      this.#stopping.cut.abort();
      const outcome = await abortable(this.#stopping.outcome, signal).catch(() => undefined);
      if (outcome !== undefined) return outcome;
    }
    return this.#call("kill", { signal, isUrgent: true }, (within) => this.#shutDown(killLadder, { signal: within }));
  }

  /** Ends the run in order, and begins another one. */
  reboot(options: EndCall & BeginCall = {}): Promise<void> {
    return this.#call("reboot", options, async (signal) => {
      const record = this.#need();
      if (isRetry(record, options)) return this.#next.join(signal);
      this.#may("reboot", record);
      if (record.state === "restarting") this.#next.hasten();
      else await this.#endForReboot(record, options, signal);
      return this.#next.begin(record, { ...options, signal }, ["restarting"], true);
    });
  }

  /** Stops the guest's time, or lets it go on. */
  setPower(power: Power, { signal }: Cancellable = {}): Promise<void> {
    const request = power === "paused" ? "pause" : "resume";
    return this.#call(request, { signal }, async (within) => {
      const record = this.#need();
      if (!this.#may(request, record)) return;
      try {
        await this.#operations.setPower(record, power, within);
        this.#enterPower(power);
      } catch (error) {
        // It may have been done all the same: the state is what Firecracker says it is.
        const found = await this.#operations.readPower(record).catch(() => undefined);
        if (found !== undefined) this.#enterPower(found);
        throw error;
      }
    });
  }

  /** Changes something of the VM that is neither its state nor its run, in its turn. */
  adjust<T>(
    name: string,
    { signal }: Cancellable,
    work: (record: VmRecord, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#call(name, { signal }, (within) => work(this.#need(), within));
  }

  /** Looks at a run, in its turn. One that `judge` has something against is killed before that is thrown. */
  prove<Report>(
    { signal }: Cancellable,
    look: (record: VmRecord, run: Run | undefined, signal: AbortSignal) => Promise<Report>,
    judge: (report: Report) => WarderError | undefined,
  ): Promise<Report> {
    return this.#call("prove", { signal }, async (within) => {
      const report = await look(this.#need(), this.#runs.current, within);
      const verdict = judge(report);
      if (verdict === undefined) return report;
      await this.#shutDown(killLadder, { signal: within });
      throw verdict;
    });
  }

  /** Takes the VM away, with what is kept of it. */
  async remove({ signal, force = false }: Cancellable & { readonly force?: boolean } = {}): Promise<void> {
    const state = this.#operations.store.get(this.id)?.state;
    if (state === undefined) return;
    if (force && decide("remove", state).verdict === "refuse") await this.kill({ signal });
    return this.#call("remove", { signal }, async (within) => {
      using limit = new Deadline(OWNER_TIMEOUT_MS);
      const limited = AbortSignal.any([within, limit.signal]);
      while (!(await this.#removeOnce(limited)));
    });
  }

  /** Settles when the VM has ended for good. Whoever waits does what the VM's owner does not live to do. */
  async wait({ signal }: Cancellable = {}): Promise<VmExit> {
    this.#waiters++;
    try {
      for (;;) {
        const record = this.#need();
        const run = this.#runs.own(record);
        if (run !== undefined) await abortable(run.finished, signal);
        else if (record.exit === undefined || this.#operations.hasLivingOwner(record))
          await this.#runs.waitForOthers(record, signal);
        else {
          await this.#operations.clear(this.id);
          return record.exit;
        }
      }
    } catch (error) {
      throw WarderError.from(error, "internal", `waiting for ${this.id}`);
    } finally {
      this.#waiters--;
      this.#settleDown();
    }
  }

  /** Takes over a VM that nobody looks after: running, or waiting to be started again. False where somebody else does. */
  lookAfter(): boolean {
    if (!this.#runs.isIdle) return true;
    const record = this.#need();
    return record.state === "restarting" ? this.#runs.takeUpComeback() : this.#runs.own(record) !== undefined;
  }

  /** Lets go: calls are given up, and the VM goes on without this process. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#queue.overtake(overtaken.close, new CutShort("close"));
    await this.#runs.close(this.#queue.idle());
  }

  async #call<T>(
    name: string,
    { signal, isUrgent = false }: Cancellable & { readonly isUrgent?: boolean },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      if (this.#isClosed) throw new CutShort("close");
      return await this.#operations.observe(name, this.id, () => this.#queue.run({ name, signal, isUrgent }, work));
    } catch (error) {
      throw WarderError.from(error, "internal", `${name} of ${this.id}`);
    } finally {
      this.#settleDown();
    }
  }

  /** Whatever is known here the store knows too: another driver may take this one's place. */
  #settleDown(): void {
    if (this.#waiters === 0 && this.#queue.isIdle && this.#runs.isIdle) this.#onIdle(this);
  }

  #need(): VmRecord {
    const record = this.#operations.store.get(this.id);
    if (record === undefined) throw notFound(this.id);
    return record;
  }

  /** True: do it. False: it is so already. */
  #may(request: VmRequest, { state }: VmRecord): boolean {
    const decision = decide(request, state);
    if (decision.verdict !== "refuse") return decision.verdict === "do";
    throw new WarderError("wrong-state", { doing: `${request} of ${this.id}`, why: decision.why });
  }

  /** False where another process has the VM in hand at this moment. */
  async #removeOnce(signal: AbortSignal): Promise<boolean> {
    const mayRemove = (record: VmRecord) => this.#may("remove", record);
    const isFree = (record: VmRecord) => mayRemove(record) && !this.#operations.hasLivingOwner(record);
    if ((await this.#runs.until(isFree, signal)) === undefined) return true;
    try {
      await this.#operations.remove(this.id, mayRemove);
      return true;
    } catch (error) {
      if (isInOtherHands(error)) return false;
      throw error;
    }
  }

  /** Gives up what another call makes pointless. A start under way hears of it, and so does whoever looks at the record. */
  #overtake(by: "stop" | "kill"): void {
    if (beginnings.includes(this.#queue.current ?? "")) enterStop(this.#operations.store, this.id);
    this.#queue.overtake(overtaken[by], new CutShort(by));
  }

  async #shutDown(ladder: ShutdownLadder | undefined, options: ShutdownOptions): Promise<ShutdownOutcome> {
    const { store } = this.#operations;
    const record = store.get(this.id);
    // Gone with the start that was given up.
    if (record === undefined || !this.#may("stop", record)) return NOTHING_DONE;
    this.#runs.endComeback();
    const current = enterStop(store, this.id);
    if (!isLive(current.state)) return NOTHING_DONE;
    return this.#endRun(current, ladder ?? record.spec.shutdown, options);
  }

  async #endRun(record: VmRecord, ladder: ShutdownLadder, options: ShutdownOptions): Promise<ShutdownOutcome> {
    const run = this.#runs.own(record);
    if (run !== undefined) return run.shutDown(ladder, options);
    const outcome = await this.#operations.stopForOwner(record, ladder, options);
    using limit = new Deadline(OWNER_TIMEOUT_MS);
    // Its owner may have begun the next run by the time that this process looks.
    const isOver = ({ state, incarnation }: VmRecord) => !isLive(state) || incarnation !== record.incarnation;
    await this.#runs.until(isOver, AbortSignal.any([options.signal, limit.signal]));
    return outcome;
  }

  async #endForReboot(record: VmRecord, { ladder, idempotencyKey }: EndCall & BeginCall, signal: AbortSignal) {
    const { store } = this.#operations;
    const startKey = idempotencyKey === undefined ? {} : { startKey: idempotencyKey };
    const marked = store.update(this.id, (current) => {
      this.#may("reboot", current);
      return { ...current, isToReboot: true, ...startKey };
    });
    try {
      await this.#endRun(marked, ladder ?? record.spec.shutdown, { signal });
    } catch (error) {
      // Nobody waits for the reboot any more; what becomes of a shutdown that was given up is for the next call to say.
      if (store.get(this.id)?.isToReboot === true) enterStop(store, this.id);
      throw error;
    }
  }

  /** In its turn: the start that a restarting VM waits for, where it still does. */
  #restart(signal: AbortSignal): Promise<void> {
    return this.#call("restart", { signal }, async (within) => {
      const record = this.#need();
      if (record.state === "restarting") await this.#runs.beginAgain(record, { signal: within }, true);
    });
  }

  #enterPower(state: Power): void {
    const change = (record: VmRecord) => (canTransition(record.state, state) ? { ...record, state } : record);
    this.#operations.store.update(this.id, change);
  }
}

/** Whether the call has begun the run that the record shows: it is not to begin another one. */
function isRetry({ startKey, state }: VmRecord, { idempotencyKey }: BeginCall): boolean {
  return idempotencyKey !== undefined && idempotencyKey === startKey && state !== "failed";
}
