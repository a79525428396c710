import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isRateLimiter, toRateLimiter, toRateLimiterPatch, toTokenBucket } from "./rate-limit.ts";

const limit = {
  bandwidth: { bytesPerSecond: 10_000_000, burstBytes: 2_000_000 },
  operations: { perSecond: 500, burst: 1000 },
};

describe("a rate limit for Firecracker", () => {
  test("is a bucket of the burst that fills at the rate", () =>
    assert.deepEqual(toRateLimiter(limit), {
      bandwidth: { size: 2_000_000, refill_time: 200 },
      ops: { size: 1000, refill_time: 2000 },
    }));
  test("says nothing of what it does not limit where a device is made, and takes it away where one is changed", () => {
    const { bandwidth } = limit;
    assert.deepEqual(toRateLimiter({ bandwidth }), { bandwidth: { size: 2_000_000, refill_time: 200 } });
    assert.deepEqual(toRateLimiterPatch({ bandwidth }).ops, { size: 0, refill_time: 0 });
    assert.deepEqual(toRateLimiterPatch(undefined), {
      bandwidth: { size: 0, refill_time: 0 },
      ops: { size: 0, refill_time: 0 },
    });
  });
  test("keeps the rate within 1 %, and the burst within a millisecond's worth, whatever they are", () => {
    const rates = fc.integer({ min: 1, max: 2 ** 40 });
    fc.assert(
      fc.property(rates, fc.double({ min: 0.1, max: 60, noNaN: true }), (perSecond, seconds) => {
        const burst = Math.max(1, Math.ceil(perSecond * seconds));
        const { size, refill_time: refill } = toTokenBucket(perSecond, burst);
        assert.ok(Math.abs((size / refill) * 1000 - perSecond) <= perSecond / 100, `${size} in ${refill} ms`);
        assert.ok(Math.abs(size - burst) <= 1 + perSecond / 1000, `${size} for ${burst}`);
      }),
    );
  });
});

describe("isRateLimiter()", () => {
  test("knows what Firecracker says of a limit, whatever it says beside", () => {
    const found = toRateLimiter(limit);
    assert.ok(isRateLimiter({ ...found, ops: { ...found.ops, one_time_burst: 0 } }, limit));
    assert.ok(isRateLimiter({ ...found, bandwidth: null }, { operations: limit.operations }));
    assert.ok(isRateLimiter(null, undefined));
    assert.ok(isRateLimiter({ bandwidth: { size: 0, refill_time: 0 } }, undefined));
  });
  test("knows another limit", () => {
    assert.ok(!isRateLimiter(null, limit));
    assert.ok(!isRateLimiter(toRateLimiter(limit), undefined));
    assert.ok(!isRateLimiter(toRateLimiter(limit), { bandwidth: limit.bandwidth }));
  });
});
