import * as z from "zod";

/** How many bytes a device may move. */
export interface Bandwidth {
  readonly bytesPerSecond: number;
  /** Most bytes at once after a rest. Default: what comes in 200 ms. */
  readonly burstBytes: number;
}

/** How many requests a device may serve. */
export interface Operations {
  readonly perSecond: number;
  /** Most requests at once after a rest. Default: what comes in 200 ms, and at least one. */
  readonly burst: number;
}

/** A limit on a disk, or on one direction of a network interface; an absent member limits nothing. */
export interface RateLimit {
  readonly bandwidth?: Bandwidth;
  readonly operations?: Operations;
}

/**
 * Firecracker looks again every 100 ms at a device that has used up its bucket, so a bucket that holds less than comes
 * in that time never gives the rate that was asked for.
 * Source: `REFILL_TIMER_INTERVAL_MS` in Firecracker's `rate_limiter/mod.rs`.
 */
export const REFILL_INTERVAL_MS = 100;

/** What a bucket holds where nothing is said: two looks' worth, so that a late look costs nothing. */
const DEFAULT_BURST_MS = 2 * REFILL_INTERVAL_MS;

const count = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

const bandwidth = z
  .strictObject({ bytesPerSecond: count, burstBytes: count.optional() })
  .superRefine(({ bytesPerSecond, burstBytes }, context) =>
    refuseSmall(context, "burstBytes", bytesPerSecond, burstBytes),
  )
  .transform(
    ({ bytesPerSecond, burstBytes }): Bandwidth => ({
      bytesPerSecond,
      burstBytes: burstBytes ?? defaultBurst(bytesPerSecond),
    }),
  );

const operations = z
  .strictObject({ perSecond: count, burst: count.optional() })
  .superRefine(({ perSecond, burst }, context) => refuseSmall(context, "burst", perSecond, burst))
  .transform(({ perSecond, burst }): Operations => ({ perSecond, burst: burst ?? defaultBurst(perSecond) }));

/** Parses a {@link RateLimit}; a limit that limits nothing is refused, as it was surely meant to. */
export const rateLimitSchema = z
  .strictObject({ bandwidth: bandwidth.optional(), operations: operations.optional() })
  .refine((limit) => limit.bandwidth !== undefined || limit.operations !== undefined, {
    error: "must have bandwidth, operations or both",
  })
  .transform((limit) => limit as RateLimit);

/** A {@link RateLimit} as a caller gives it. */
export type RateLimitInput = z.input<typeof rateLimitSchema>;

/** The least that a bucket may hold for Firecracker to give the rate. */
export function leastBurst(perSecond: number): number {
  return Math.ceil((perSecond * REFILL_INTERVAL_MS) / 1000);
}

function defaultBurst(perSecond: number): number {
  return Math.max(1, Math.ceil((perSecond / 1000) * DEFAULT_BURST_MS));
}

function refuseSmall(context: z.RefinementCtx, member: string, perSecond: number, burst: number | undefined): void {
  const least = leastBurst(perSecond);
  if (burst === undefined || burst >= least) return;
  context.addIssue({
    code: "custom",
    path: [member],
    message: `must be at least ${least}: what comes in ${REFILL_INTERVAL_MS} ms, as Firecracker looks no more often`,
  });
}
