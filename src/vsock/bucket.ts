/**
 * A token bucket: it fills at `perSecond` until it holds `burst`. Arithmetic alone, without a clock: times are
 * milliseconds on one that never jumps.
 */
export interface Bucket {
  readonly perSecond: number;
  readonly burst: number;
}

/** What a bucket held at a time. */
export interface Level {
  readonly tokens: number;
  readonly atMs: number;
}

/** A bucket that nobody has used yet. */
export function fullLevel({ burst }: Bucket, nowMs: number): Level {
  return { tokens: burst, atMs: nowMs };
}

/** What it holds now. A time before the last one, which only a bad clock gives, adds nothing and is not kept. */
export function refill({ perSecond, burst }: Bucket, level: Level, nowMs: number): Level {
  if (nowMs <= level.atMs) return level;
  return { tokens: Math.min(burst, level.tokens + ((nowMs - level.atMs) / 1000) * perSecond), atMs: nowMs };
}

/** What is left when `count` tokens are taken; `undefined` where there are not so many yet. */
export function take(bucket: Bucket, level: Level, count: number, nowMs: number): Level | undefined {
  const now = refill(bucket, level, nowMs);
  return now.tokens < count ? undefined : { tokens: now.tokens - count, atMs: now.atMs };
}

/**
 * What is left when `count` tokens are taken at the moment at which they were there; `undefined` where that is yet to
 * come. For who has waited since: who comes late to hand them out would else lose what ran over meanwhile, every time.
 */
export function takeWhenDue(bucket: Bucket, level: Level, count: number, nowMs: number): Level | undefined {
  const dueMs = level.atMs + waitFor(bucket, level, count, level.atMs);
  if (dueMs > nowMs) return undefined;
  return { tokens: Math.max(0, refill(bucket, level, dueMs).tokens - count), atMs: dueMs };
}

/**
 * Milliseconds until `count` tokens are there: 0 where they are.
 *
 * @throws RangeError where the bucket never holds so many.
 */
export function waitFor(bucket: Bucket, level: Level, count: number, nowMs: number): number {
  if (count > bucket.burst) throw new RangeError(`a bucket of ${bucket.burst} never holds ${count}`);
  const missing = count - refill(bucket, level, nowMs).tokens;
  return missing <= 0 ? 0 : (missing / bucket.perSecond) * 1000;
}
