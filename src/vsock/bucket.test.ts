import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Bucket, fullLevel, type Level, refill, take, takeWhenDue, waitFor } from "./bucket.ts";

const buckets = fc.record({
  perSecond: fc.integer({ min: 1, max: 1e10 }),
  burst: fc.integer({ min: 1, max: 1e10 }),
});
const pauses = fc.double({ min: 0, max: 10_000, noNaN: true });
/** Rounding of doubles, which adds up to far less than one token in any run of these. */
const CLOSE = 1e-6;

describe("a token bucket", () => {
  test("never gives more than its burst and what came since, whatever is asked of it when", () => {
    const asks = fc.array(fc.record({ pauseMs: pauses, share: fc.double({ min: 0, max: 1.5, noNaN: true }) }));
    fc.assert(
      fc.property(buckets, asks, (bucket, wanted) => {
        let level = fullLevel(bucket, 0);
        let now = 0;
        let given = 0;
        for (const { pauseMs, share } of wanted) {
          now += pauseMs;
          const count = Math.ceil(bucket.burst * share);
          const left = take(bucket, level, count, now);
          if (left === undefined) continue;
          level = left;
          given += count;
          assert.ok(level.tokens >= 0 && level.tokens <= bucket.burst);
        }
        const due = bucket.burst + (now / 1000) * bucket.perSecond;
        assert.ok(given <= due * (1 + CLOSE) + CLOSE, `${given} of ${due}`);
      }),
    );
  });

  test("gives all that came, to whoever takes it in time", () => {
    fc.assert(
      fc.property(buckets, fc.integer({ min: 1, max: 200 }), (bucket, rounds) => {
        let level: Level = { tokens: 0, atMs: 0 };
        const stepMs = (bucket.burst / bucket.perSecond) * 500;
        let given = 0;
        for (let round = 1; round <= rounds; round++) {
          level = refill(bucket, level, round * stepMs);
          given += level.tokens;
          level = take(bucket, level, level.tokens, round * stepMs) ?? level;
        }
        const due = (rounds * bucket.burst) / 2;
        assert.ok(Math.abs(given - due) <= due * CLOSE, `${given} of ${due}`);
      }),
    );
  });

  test("gives the whole rate to who waits, however late it is handed out, and no more", () => {
    const lates = fc.array(fc.double({ min: 0, max: 5, noNaN: true }), { minLength: 20, maxLength: 60 });
    fc.assert(
      fc.property(buckets, lates, (bucket, late) => {
        const count = Math.max(1, Math.floor(bucket.burst / 3));
        const pieceMs = (count / bucket.perSecond) * 1000;
        let level: Level = { tokens: 0, atMs: 0 };
        let now = 0;
        let given = 0;
        for (const pieces of late) {
          now += pieceMs * pieces;
          for (let left = takeWhenDue(bucket, level, count, now); left !== undefined; ) {
            level = left;
            given += count;
            left = takeWhenDue(bucket, level, count, now);
          }
        }
        const due = (now / 1000) * bucket.perSecond;
        assert.ok(given <= due * (1 + CLOSE) + CLOSE, `${given} of ${due}`);
        assert.ok(given >= due * (1 - CLOSE) - count, `${given} of ${due}`);
      }),
    );
  });

  test("says how long to wait: no shorter will do, and so long does", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(buckets, share, share, pauses, (bucket, filled, wanted, nowMs) => {
        const level = { tokens: bucket.burst * filled, atMs: 0 };
        const count = Math.ceil(bucket.burst * wanted);
        const waitMs = waitFor(bucket, level, count, nowMs);
        const enough = nowMs + waitMs + CLOSE * (1 + nowMs + waitMs);
        assert.notEqual(take(bucket, level, count, enough), undefined);
        if (waitMs > 1) assert.equal(take(bucket, level, count, nowMs + waitMs * 0.999 - 0.001), undefined);
      }),
    );
  });

  test("holds its burst after any rest, and no more", () => {
    const bucket: Bucket = { perSecond: 10, burst: 5 };
    assert.equal(refill(bucket, { tokens: 0, atMs: 0 }, 1e9).tokens, 5);
    assert.equal(take(bucket, fullLevel(bucket, 0), 6, 1e9), undefined);
    assert.throws(() => waitFor(bucket, fullLevel(bucket, 0), 6, 0), /never holds 6/);
  });

  test("gains nothing by a clock that goes back", () => {
    const bucket: Bucket = { perSecond: 1000, burst: 10 };
    const level = { tokens: 0, atMs: 100 };
    assert.deepEqual(refill(bucket, level, 50), level);
    assert.equal(refill(bucket, refill(bucket, level, 50), 101).tokens, 1);
  });
});
