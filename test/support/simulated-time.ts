import { setImmediate as turn } from "node:timers/promises";

/** How time passes, and how work goes on that takes time. */
export interface Pace {
  /** Settles when something is done that takes as long as it takes. */
  tick(): Promise<void>;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  now(): number;
}

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/**
 * Time in which one thing happens after the other: something is done, or somebody wakes. What comes first is for the test
 * to choose; time itself passes only to the next one who wakes.
 */
export class SimulatedTime implements Pace {
  #nowMs = 1_000_000;
  readonly #work: (() => void)[] = [];
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#nowMs;
  }

  tick(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#work.push(resolve);
    this.onWork();
    return promise;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { atMs: this.#nowMs + milliseconds, wake: resolve };
    this.#sleepers.add(sleeper);
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.onWork();
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#sleepers.delete(sleeper);
    }
  }

  /** Has one thing happen, and everything that follows from it at once; false where nothing is to come. */
  async step(choice: number): Promise<boolean> {
    const choices = this.#work.length + (this.#sleepers.size > 0 ? 1 : 0);
    if (choices === 0) return false;
    const [work] = this.#work.splice(choice % choices, 1);
    if (work === undefined) this.#wakeNext();
    else work();
    await turn();
    return true;
  }

  /** Called when something is to come. */
  protected onWork(): void {
    // Whoever chooses asks for steps.
  }

  #wakeNext(): void {
    const next = [...this.#sleepers].reduce((first, each) => (each.atMs < first.atMs ? each : first));
    this.#sleepers.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.wake();
  }
}

/** Time that goes on by itself, in the plainest order: work before sleepers, first come first served. */
export class PlainTime extends SimulatedTime {
  #isGoing = false;

  protected override onWork(): void {
    if (!this.#isGoing) void this.#goOn();
  }

  async #goOn(): Promise<void> {
    this.#isGoing = true;
    do await turn();
    while (await this.step(0));
    this.#isGoing = false;
  }
}
