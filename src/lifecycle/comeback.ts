import { messageOf } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import type { Operations } from "./operations.ts";

/** A record is looked at so often while its next start is waited for: another process may have ended the wait. */
const LOOK_AGAIN_MS = 1_000;

/** Where a start could not even be tried, as with a full disk, it is tried again after so long. */
const TRY_AGAIN_MS = 10_000;

/** What a comeback needs of the driver: a start of the VM, in its turn. Nothing, where it is not wanted any more. */
type StartAgain = (signal: AbortSignal) => Promise<void>;

/**
 * Waits until a VM that is `restarting` is due, and has it started; again and again, as the record says. The wait lies in
 * the record: a manager that comes later goes on with it.
 */
export class Comeback {
  readonly #operations: Operations;
  readonly #id: VmId;
  readonly #startAgain: StartAgain;
  readonly #onEnd: () => void;
  #wait: AbortController | undefined;

  constructor(operations: Operations, id: VmId, startAgain: StartAgain, onEnd: () => void) {
    this.#operations = operations;
    this.#id = id;
    this.#startAgain = startAgain;
    this.#onEnd = onEnd;
  }

  get isAwaited(): boolean {
    return this.#wait !== undefined;
  }

  /** Begins to wait, where that is this process's to do and is not done already. */
  ensure(): void {
    if (this.#wait !== undefined || this.#due() === undefined) return;
    const wait = new AbortController();
    this.#wait = wait;
    void this.#goOn(wait);
  }

  /** Waits no longer; a start that it has begun goes on. */
  end(): void {
    this.#wait?.abort();
    this.#wait = undefined;
  }

  async #goOn(wait: AbortController): Promise<void> {
    try {
      for (let record = this.#due(); record !== undefined && !wait.signal.aborted; record = this.#due()) {
        await this.#step(record, wait.signal);
      }
    } catch (error) {
      if (!wait.signal.aborted) this.#warn(error);
    } finally {
      // In the same turn as the last look: an end that comes after it begins a new wait.
      if (this.#wait === wait) this.#wait = undefined;
      this.#onEnd();
    }
  }

  async #step(record: VmRecord, signal: AbortSignal): Promise<void> {
    const { clock } = this.#operations;
    const leftMs = (record.restart?.nextAt ?? 0) - clock.now();
    if (leftMs > 0) return clock.sleep(Math.min(leftMs, LOOK_AGAIN_MS), signal);
    try {
      await this.#startAgain(signal);
    } catch (error) {
      // What a start came to stands in the record, and has been told of there.
      if (signal.aborted || this.#due()?.generation !== record.generation) return;
      this.#warn(error);
      await clock.sleep(TRY_AGAIN_MS, signal);
    }
  }

  /** The record, where a start is to come and this process is the one to do it. */
  #due(): VmRecord | undefined {
    const record = this.#operations.store.get(this.#id);
    return record?.state === "restarting" && this.#operations.isOwn(record) ? record : undefined;
  }

  #warn(error: unknown): void {
    this.#operations.warn("VM not started again", { vm_id: this.#id, error: messageOf(error) });
  }
}
