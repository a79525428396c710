import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { leastBurst, rateLimitSchema } from "./rate-limit.ts";

const problems = (input: unknown) =>
  rateLimitSchema.safeParse(input).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];

describe("a rate limit", () => {
  test("holds 200 ms' worth where no burst is given", () => {
    assert.deepEqual(
      rateLimitSchema.parse({ bandwidth: { bytesPerSecond: 1_000_000 }, operations: { perSecond: 3 } }),
      {
        bandwidth: { bytesPerSecond: 1_000_000, burstBytes: 200_000 },
        operations: { perSecond: 3, burst: 1 },
      },
    );
  });
  test("keeps a burst that was given", () =>
    assert.deepEqual(rateLimitSchema.parse({ operations: { perSecond: 100, burst: 5000 } }), {
      operations: { perSecond: 100, burst: 5000 },
    }));
  test("is refused where it limits nothing", () =>
    assert.deepEqual(problems({}), [": must have bandwidth, operations or both"]));
  test("is refused where Firecracker could not give its rate", () =>
    assert.deepEqual(problems({ bandwidth: { bytesPerSecond: 1000, burstBytes: 99 } }), [
      "bandwidth.burstBytes: must be at least 100: what comes in 100 ms, as Firecracker looks no more often",
    ]));
  test("is refused with rates that are none, and members that nobody knows", () => {
    for (const bytesPerSecond of [0, -1, 1.5, Number.NaN, 2 ** 60, "1"])
      assert.notDeepEqual(problems({ bandwidth: { bytesPerSecond } }), [], String(bytesPerSecond));
    assert.notDeepEqual(problems({ bandwith: { bytesPerSecond: 1 } }), []);
  });
  test("has a default burst that is itself allowed", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (perSecond) => {
        const burst = rateLimitSchema.parse({ operations: { perSecond } }).operations?.burst ?? 0;
        assert.ok(burst >= leastBurst(perSecond));
      }),
    ));
});
