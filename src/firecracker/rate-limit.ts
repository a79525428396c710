import type { RateLimit } from "../vm/rate-limit.ts";
import type * as models from "./models.ts";

/** A bucket that limits nothing. In a PATCH it takes a limit away, where an absent one would leave it. */
const UNLIMITED: models.TokenBucket = Object.freeze({ size: 0, refill_time: 0 });

/** A limit as Firecracker takes it where a device is made. */
export function toRateLimiter({ bandwidth, operations }: RateLimit): models.RateLimiter {
  return {
    ...(bandwidth === undefined ? {} : { bandwidth: toTokenBucket(bandwidth.bytesPerSecond, bandwidth.burstBytes) }),
    ...(operations === undefined ? {} : { ops: toTokenBucket(operations.perSecond, operations.burst) }),
  };
}

/** A limit as Firecracker takes it in a PATCH, in place of all that was before; `undefined` takes every limit away. */
export function toRateLimiterPatch(limit: RateLimit | undefined): Required<models.RateLimiter> {
  return { bandwidth: UNLIMITED, ops: UNLIMITED, ...toRateLimiter(limit ?? {}) };
}

/**
 * The bucket that gives `perSecond` in the long run and holds about `burst`. Firecracker counts refill times in whole
 * milliseconds: the size follows the rounded time, so that the rate is kept and the burst is what is off, by less than
 * a millisecond's worth.
 *
 * No one-time burst: it would be given anew with each change of a limit, and so be a way around it.
 */
export function toTokenBucket(perSecond: number, burst: number): models.TokenBucket {
  const refillMs = Math.max(1, Math.round((burst * 1000) / perSecond));
  return { size: Math.max(1, Math.round((perSecond / 1000) * refillMs)), refill_time: refillMs };
}

/** Whether what Firecracker says of a device's limiter is this limit. An empty bucket and none are the same to it. */
export function isRateLimiter(found: unknown, limit: RateLimit | undefined): boolean {
  const wanted = toRateLimiter(limit ?? {});
  const given = (found ?? {}) as Partial<Record<keyof models.RateLimiter, Partial<models.TokenBucket> | null>>;
  return (["bandwidth", "ops"] as const).every((name) => {
    const { size = 0, refill_time = 0 } = given[name] ?? {};
    const bucket = wanted[name] ?? UNLIMITED;
    return size === bucket.size && refill_time === bucket.refill_time;
  });
}
