/** Rate limiters: kept and shown as they were given, and never applied. */
import type { Body } from "./bodies.ts";

type Limiter = Body<"drive">["rate_limiter"];
type Bucket = NonNullable<Limiter>["ops"];

/** A limiter after a change: a bucket that the change does not mention stays, one without size or time is taken away. */
export function updatedLimiter(current: Limiter, change: Limiter): Limiter {
  if (change === null) return current;
  const bandwidth = updatedBucket(current?.bandwidth ?? null, change.bandwidth);
  const ops = updatedBucket(current?.ops ?? null, change.ops);
  return bandwidth === null && ops === null ? null : { bandwidth, ops };
}

function updatedBucket(current: Bucket, change: Bucket): Bucket {
  if (change === null) return current;
  return change.size === 0 || change.refill_time === 0 ? null : change;
}
