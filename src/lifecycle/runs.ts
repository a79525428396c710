import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { type VmRecord, withoutOwner } from "../vm/record.ts";
import type { VmSpec } from "../vm/spec.ts";
import { isLive } from "../vm/state.ts";
import { Comeback } from "./comeback.ts";
import { CutShort, exitOfFailedStart } from "./cut-short.ts";
import { enterEnd, leaveRestart } from "./ending.ts";
import type { Operations, Run } from "./operations.ts";
import type { StartOptions, StartOrigin } from "./start.ts";

/** How often a VM is looked at that another process leads. */
const LOOK_AGAIN_MS = 10;

/** A start that can be given up. */
export interface BeginOptions extends StartOptions {
  readonly signal: AbortSignal;
  /** Of the call that asks for it. */
  readonly idempotencyKey?: string;
}

/**
 * The runs of one VM, as far as they are this process's: begun here or taken over, followed to their end and, where the
 * record says so, begun again. What other processes owe the VM is waited for here too, and done in their place where they
 * did not live to do it.
 */
export class Runs {
  readonly #id: VmId;
  readonly #operations: Operations;
  readonly #comeback: Comeback;
  readonly #onChange: () => void;
  #current: Run | undefined;
  #onConsole: StartOptions["onConsole"];
  #isClosed = false;

  /** @param startAgain - Has {@link beginAgain} called, in its turn. */
  constructor(
    operations: Operations,
    id: VmId,
    startAgain: (signal: AbortSignal) => Promise<void>,
    onChange: () => void,
  ) {
    this.#id = id;
    this.#operations = operations;
    this.#comeback = new Comeback(operations, id, startAgain, onChange);
    this.#onChange = onChange;
  }

  /** The run that is in this process's hands. */
  get current(): Run | undefined {
    return this.#current;
  }

  /** Whether nothing is known here that the store does not know. */
  get isIdle(): boolean {
    return this.#current === undefined && !this.#comeback.isAwaited;
  }

  /** Begins a run. Whoever listens to the console listens to all that follow. */
  async begin(spec: VmSpec, options: StartOptions, origin: StartOrigin): Promise<void> {
    this.#onConsole = options.onConsole ?? this.#onConsole;
    const onConsole = this.#onConsole === undefined ? {} : { onConsole: this.#onConsole };
    this.#follow(await this.#operations.start(spec, { ...options, ...onConsole }, origin));
  }

  /**
   * Begins another run of a VM that is written down. Where that fails, the record says so, and nothing is left on the
   * host.
   */
  async beginAgain(
    record: VmRecord,
    { idempotencyKey, ...options }: BeginOptions,
    isCarriedOn: boolean,
  ): Promise<void> {
    const startKey = idempotencyKey === undefined ? {} : { startKey: idempotencyKey };
    const renewal = { from: [record.state], isCarriedOn, ...startKey };
    try {
      await this.settled();
      await this.#operations.clear(this.#id);
      await this.begin({ ...record.spec, id: record.id }, options, { renewal });
    } catch (error) {
      const failures: unknown[] = [];
      await this.#enterFailedStart(record, error, options.signal).catch((failure: unknown) => failures.push(failure));
      throw WarderError.from(error, "internal", `starting ${this.#id}`).withCleanup(failures);
    }
  }

  /** The run of this VM where it is this process's to have: its own, or one that nobody looks after. */
  own(record: VmRecord): Run | undefined {
    if (this.#current !== undefined || this.#isClosed) return this.#current;
    if (!isLive(record.state) || this.#operations.hasLivingOwner(record)) return undefined;
    if (!this.#operations.isStillRunning(record)) return undefined;
    const run = this.#operations.adopt(record);
    if (run !== undefined) this.#follow(run);
    return run;
  }

  /** Takes over what is to come of a VM that is `restarting`; false where another process does that. */
  takeUpComeback(): boolean {
    if (this.#isClosed || !this.#operations.claimRestart(this.#id)) return false;
    this.#comeback.ensure();
    return true;
  }

  /** Settles when nothing of a run that has ended is on the host any more. What could not be removed is told elsewhere. */
  async settled(): Promise<void> {
    const state = this.#operations.store.get(this.#id)?.state;
    if (state !== undefined && !isLive(state)) await this.#current?.finished.catch(() => undefined);
  }

  /** Waits no longer for the next start. */
  endComeback(): void {
    this.#comeback.end();
  }

  /** Gives others time, and does what they did not live to do. */
  async waitForOthers(record: VmRecord, signal: AbortSignal | undefined): Promise<void> {
    if (record.state === "restarting") this.takeUpComeback();
    await this.#operations.settle(record);
    await this.#operations.clock.sleep(LOOK_AGAIN_MS, signal);
  }

  /** The record, once it is as wanted; `undefined` once it is gone. */
  async until(isAsWanted: (record: VmRecord) => boolean, signal: AbortSignal): Promise<VmRecord | undefined> {
    for (;;) {
      const record = this.#operations.store.get(this.#id);
      if (record === undefined || isAsWanted(record)) return record;
      await this.waitForOthers(record, signal);
    }
  }

  /** Begins nothing from now on and, after the calls that are under way, lets go: the VM goes on without this process. */
  async close(after: Promise<void>): Promise<void> {
    this.#isClosed = true;
    this.#comeback.end();
    await after;
    await this.#current?.release();
    const { store, isOwn } = this.#operations;
    const record = store.get(this.#id);
    if (record !== undefined && isOwn(record)) store.update(this.#id, withoutOwner);
  }

  #follow(run: Run): void {
    this.#current = run;
    const onEnd = () => {
      this.#current = undefined;
      if (!this.#isClosed) this.#comeback.ensure();
      this.#onChange();
    };
    run.finished.then(onEnd, onEnd);
  }

  /** Says in the record what became of a start, as far as the record is this process's to write in. */
  async #enterFailedStart(before: VmRecord, error: unknown, signal: AbortSignal): Promise<void> {
    const { store, clock, isOwn } = this.#operations;
    const current = store.get(this.#id);
    if (current === undefined || !isOwn(current)) return;
    // Refused before it was written down, it has changed nothing; but a restart does not go on for ever like that.
    if (current.incarnation === before.incarnation && current.state !== "restarting") return;
    const now = clock.now();
    const isLeft = signal.reason instanceof CutShort && signal.reason.by === "close";
    const ended = isLeft ? leaveRestart(store, this.#id, now) : undefined;
    const { state } = ended ?? enterEnd(this.#operations, this.#id, exitOfFailedStart(error, signal, now));
    try {
      await this.#operations.clearOwn(this.#id);
    } finally {
      if (state === "restarting" && !this.#isClosed) this.#comeback.ensure();
    }
  }
}
