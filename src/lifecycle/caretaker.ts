import { messageOf } from "../vm/error.ts";
import { adoptOrphans } from "./adopt-orphans.ts";
import type { Drivers } from "./drivers.ts";
import { forgetExpired } from "./expire.ts";
import type { Machinery } from "./machinery.ts";
import { isOwn } from "./owner.ts";
import { disclaimVm } from "./ownership.ts";
import { reconcile } from "./reconcile.ts";

/** VMs of other processes that died are missed for so long at most. */
const ROUND_EVERY_MS = 10_000;

/**
 * What a manager does from time to time: takes over VMs whose owner has died, finishes what others left undone, lifts
 * the quarantine of ids, and forgets VMs that ended long ago.
 */
export class Caretaker implements AsyncDisposable {
  readonly #machinery: Machinery;
  readonly #drivers: Drivers;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(machinery: Machinery, drivers: Drivers, everyMs = ROUND_EVERY_MS) {
    this.#machinery = machinery;
    this.#drivers = drivers;
    this.#everyMs = everyMs;
  }

  /** Does the first round, and goes on with the others behind the back of everybody. */
  async begin(): Promise<void> {
    await this.#look();
    this.#wait();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  #wait(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#attempt(() => this.#look()).finally(() => this.#wait());
    }, this.#everyMs).unref();
  }

  async #look(): Promise<void> {
    const { store, quarantine } = this.#machinery;
    for (const { id, error } of await reconcile(this.#machinery)) {
      this.#machinery.warn("VM not removed", { vm_id: id, error: messageOf(error) });
    }
    const tasks: readonly (() => unknown)[] = [
      () => this.#letGoOfForgotten(),
      () => adoptOrphans(this.#machinery, this.#drivers),
      () => forgetExpired(this.#machinery),
      () => quarantine.lookSoon(),
      () => store.refillBallast(),
    ];
    for (const task of tasks) await this.#attempt(task);
  }

  /**
   * A VM that this manager owns and does not look after, as where its end could not be written down, would wait for this
   * manager's own end: it is let go of, and taken over or concluded like any other.
   */
  #letGoOfForgotten(): void {
    for (const record of this.#machinery.store.list()) {
      if (isOwn(this.#machinery, record) && !this.#drivers.isBusyWith(record.id))
        disclaimVm(this.#machinery, record.id);
    }
  }

  /** What goes wrong in one round is tried again in the next. */
  async #attempt(task: () => unknown): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#machinery.warn("part of the manager's round failed", { error: messageOf(error) });
    }
  }
}
