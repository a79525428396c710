import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { Meter } from "./meter.ts";

const never = new AbortController().signal;

describe("Meter", () => {
  test("gives at once what is there, and the rest as it comes", async () => {
    const clock = new FakeClock();
    const meter = new Meter({ perSecond: 1000, burst: 100 }, clock);
    assert.equal(meter.take(100, never), undefined);
    const times: number[] = [];
    const later = [50, 50, 100].map(async (count) => {
      await meter.take(count, never);
      times.push(clock.monotonic());
    });
    await clock.advance(1000);
    await Promise.all(later);
    assert.deepEqual(times, [50, 100, 200]);
  });

  test("serves who comes first, even where others want less", async () => {
    const clock = new FakeClock();
    const meter = new Meter({ perSecond: 100, burst: 100 }, clock);
    void meter.take(100, never);
    const served: string[] = [];
    const all = [
      ["much", 90],
      ["little", 1],
    ].map(async ([who, count]) => {
      await meter.take(Number(count), never);
      served.push(String(who));
    });
    await clock.advance(5);
    assert.deepEqual(served, []);
    await clock.advance(2000);
    await Promise.all(all);
    assert.deepEqual(served, ["much", "little"]);
  });

  test("leaves to others what is given up, and sleeps no more once nobody waits", async () => {
    const clock = new FakeClock();
    const meter = new Meter({ perSecond: 1, burst: 10 }, clock);
    void meter.take(10, never);
    const caller = new AbortController();
    const given = meter.take(10, caller.signal);
    const other = meter.take(1, never);
    caller.abort(new Error("enough"));
    await assert.rejects(async () => given, /enough/);
    await clock.advance(10_000);
    await other;
    assert.equal(clock.sleepers, 0);
    const alone = meter.take(10, AbortSignal.abort(new Error("before it began")));
    await assert.rejects(async () => alone, /before it began/);
    assert.equal(clock.sleepers, 0);
  });

  test("a last waiter that gives up ends the sleep", async () => {
    const clock = new FakeClock();
    const meter = new Meter({ perSecond: 1, burst: 1000 }, clock);
    void meter.take(1000, never);
    const caller = new AbortController();
    const given = meter.take(1000, caller.signal);
    await clock.advance(1);
    assert.equal(clock.sleepers, 1);
    caller.abort(new Error("enough"));
    await assert.rejects(async () => given, /enough/);
    await clock.advance(0);
    assert.equal(clock.sleepers, 0);
    await clock.advance(2_000_000);
    assert.equal(meter.take(1000, never), undefined);
  });

  test("refuses what it can never give", () =>
    assert.throws(() => new Meter({ perSecond: 1, burst: 3 }, new FakeClock()).take(4, never), /more than the burst/));

  test("gives several streams the rate in ten seconds, within 2 %, and about as much to each", async () => {
    const rates = fc.integer({ min: 1000, max: 1e8 });
    await fc.assert(
      fc.asyncProperty(rates, fc.integer({ min: 1, max: 5 }), async (perSecond, streams) => {
        const clock = new FakeClock();
        const burst = Math.ceil(perSecond / 10);
        const meter = new Meter({ perSecond, burst }, clock);
        const piece = Math.max(1, Math.ceil(burst / 20));
        const over = new AbortController();
        const moved = Array.from({ length: streams }, () => 0);
        const work = moved.map(async (_none, stream) => {
          for (;;) {
            await meter.take(piece, over.signal);
            moved[stream] = (moved[stream] ?? 0) + piece;
          }
        });
        await clock.advance(10_000);
        over.abort();
        await Promise.allSettled(work);
        const total = moved.reduce((sum, each) => sum + each, 0);
        assert.ok(Math.abs(total / (10 * perSecond) - 1) <= 0.02, `${total} of ${10 * perSecond}`);
        assert.ok(Math.max(...moved) - Math.min(...moved) <= burst + piece, moved.join(" "));
      }),
      { numRuns: 15 },
    );
  });
});
