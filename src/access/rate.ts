/** How fast something may happen. */
export interface Rate {
  readonly perSecond: number;
  /** At once, after a rest. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Names that are kept apart at the most. Who is forgotten has rested the longest, and starts afresh with a full bucket. */
const BUCKETS_MAX = 10_000;

/** One token bucket for each name. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;
  rate: Rate;

  /** @param now - Milliseconds on a clock that never jumps. */
  constructor(rate: Rate, now: () => number) {
    this.rate = rate;
    this.#now = now;
  }

  /** Takes one of a name's tokens; where there is none, says in how many milliseconds there will be. */
  take(name: string): number | undefined {
    const bucket = this.#refill(name);
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / this.rate.perSecond) * 1000);
    bucket.tokens--;
    return undefined;
  }

  /** In how many milliseconds there will be a token; `undefined`: there is one. Takes none. */
  waitOf(name: string): number | undefined {
    const { tokens } = this.#refill(name);
    return tokens >= 1 ? undefined : Math.ceil(((1 - tokens) / this.rate.perSecond) * 1000);
  }

  #refill(name: string): Bucket {
    const now = this.#now();
    const bucket = this.#buckets.get(name) ?? { tokens: this.rate.burst, at: now };
    bucket.tokens = Math.min(this.rate.burst, bucket.tokens + ((now - bucket.at) / 1000) * this.rate.perSecond);
    bucket.at = now;
    // Puts it last: the first of the map is always the one that rested the longest.
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > BUCKETS_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}
