import type { Clock } from "../host/host.ts";
import { type Bucket, fullLevel, type Level, take, takeWhenDue, waitFor } from "./bucket.ts";

/**
 * Least pause between two looks at a bucket that is empty: what comes meanwhile is given out together, so that a fast
 * stream of small pieces does not wake this process for each.
 */
const LEAST_PAUSE_MS = 2;

interface Waiter {
  readonly count: number;
  readonly go: () => void;
}

/**
 * A token bucket that is waited for. Who comes first is served first, so that none of several streams is starved by the
 * others. It holds no more waiters than there are streams, whose number is limited elsewhere.
 */
export class Meter {
  readonly bucket: Bucket;
  readonly #clock: Pick<Clock, "monotonic" | "sleep">;
  readonly #waiters: Waiter[] = [];
  /** Ends the pause between two looks; there while anybody is served. */
  #pause: AbortController | undefined;
  #level: Level;

  constructor(bucket: Bucket, clock: Pick<Clock, "monotonic" | "sleep">) {
    this.bucket = bucket;
    this.#clock = clock;
    this.#level = fullLevel(bucket, clock.monotonic());
  }

  /**
   * Takes `count` tokens, at most the burst, once they are there and nobody waits before.
   *
   * @returns `undefined` where they are there at once: nobody should wait a turn of the event loop for nothing.
   * @throws The signal's reason; the tokens are left to others then.
   */
  take(count: number, signal: AbortSignal): Promise<void> | undefined {
    if (count > this.bucket.burst) throw new RangeError(`${count} is more than the burst, ${this.bucket.burst}`);
    if (this.#waiters.length === 0 && this.#tryTake(count)) return undefined;
    return this.#queue(count, signal);
  }

  #tryTake(count: number): boolean {
    const left = take(this.bucket, this.#level, count, this.#clock.monotonic());
    if (left === undefined) return false;
    this.#level = left;
    return true;
  }

  async #queue(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { count, go: resolve };
    const giveUp = () => {
      this.#leave(waiter);
      reject(signal.reason);
    };
    this.#waiters.push(waiter);
    if (this.#pause === undefined) void this.#serve();
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  #leave(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter);
    if (index >= 0) this.#waiters.splice(index, 1);
    // Nothing may hold the process that nobody waits for.
    if (this.#waiters.length === 0) this.#pause?.abort();
  }

  /** Runs as long as anybody waits. */
  async #serve(): Promise<void> {
    for (let [first] = this.#waiters; first !== undefined; [first] = this.#waiters) {
      this.#pause = new AbortController();
      await this.#clock.sleep(this.#pauseFor(first.count), this.#pause.signal).catch(() => undefined);
      this.#letGo();
    }
    this.#pause = undefined;
  }

  #letGo(): void {
    const now = this.#clock.monotonic();
    for (let [first] = this.#waiters; first !== undefined; [first] = this.#waiters) {
      const left = takeWhenDue(this.bucket, this.#level, first.count, now);
      if (left === undefined) return;
      this.#level = left;
      this.#waiters.shift();
      first.go();
    }
  }

  /** Never so long that the bucket would run over meanwhile. */
  #pauseFor(count: number): number {
    const { perSecond, burst } = this.bucket;
    const fillsInMs = (burst / perSecond) * 1000;
    const waitMs = waitFor(this.bucket, this.#level, count, this.#clock.monotonic());
    return Math.max(waitMs, Math.min(LEAST_PAUSE_MS, fillsInMs / 2));
  }
}
