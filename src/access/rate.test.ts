import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RateLimiter } from "./rate.ts";

test("a burst is let through, and then the rate", () => {
  const clock = { now: 0 };
  const limiter = new RateLimiter({ perSecond: 10, burst: 3 }, () => clock.now);
  assert.deepEqual(
    [1, 2, 3].map(() => limiter.take("a")),
    [undefined, undefined, undefined],
  );
  assert.equal(limiter.take("a"), 100);
  assert.equal(limiter.waitOf("a"), 100);
  clock.now += 100;
  assert.equal(limiter.waitOf("a"), undefined);
  assert.equal(limiter.take("a"), undefined);
  assert.equal(limiter.take("a"), 100);
});

test("each name has its own", () => {
  const limiter = new RateLimiter({ perSecond: 1, burst: 1 }, () => 0);
  assert.equal(limiter.take("a"), undefined);
  assert.equal(limiter.take("b"), undefined);
  assert.notEqual(limiter.take("a"), undefined);
});

test("however calls are spread, no more are let through than burst and rate allow", () => {
  const steps = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (pauses, perSecond, burst) => {
      const clock = { now: 0 };
      const limiter = new RateLimiter({ perSecond, burst }, () => clock.now);
      let passed = 0;
      for (const pause of pauses) {
        clock.now += pause;
        if (limiter.take("a") === undefined) passed++;
      }
      assert.ok(passed <= burst + (clock.now / 1000) * perSecond + 1e-6);
    }),
  );
});

test("any number of names takes a bounded room, and who called last is not forgotten", () => {
  const limiter = new RateLimiter({ perSecond: 0.001, burst: 1 }, () => 0);
  for (let index = 0; index < 20_000; index++) limiter.take(`caller ${index}`);
  assert.notEqual(limiter.take("caller 19999"), undefined);
  assert.equal(limiter.take("caller 0"), undefined);
});
