import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { realClock } from "../host/real/clock.ts";
import { isWarderError } from "../vm/error.ts";
import { CallQueue } from "./queue.ts";

const open = (limits?: { max: number; timeoutMs: number }) => new CallQueue(realClock, "vm-1", limits);

/** A call that lasts until it is told to end. */
function hold(queue: CallQueue, name = "stop") {
  const end = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<AbortSignal>();
  const done = queue.run({ name }, (signal) => {
    begun.resolve(signal);
    return end.promise;
  });
  return { begun: begun.promise, done, end: () => end.resolve() };
}

const failsWith =
  (code: string, text = /./) =>
  (error: unknown) => {
    assert.ok(isWarderError(error), String(error));
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };

describe("calls on one VM", () => {
  test("are done one at a time and in their order, whatever becomes of each", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), fc.nat(3)), { maxLength: 20 }), async (calls) => {
        const queue = open();
        const log: number[] = [];
        let running = 0;
        const done = calls.map(([fails, turns], index) =>
          queue.run({ name: "pause" }, async () => {
            assert.equal(++running, 1);
            for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
            log.push(index);
            running--;
            if (fails) throw new Error(String(index));
            return index;
          }),
        );
        const results = await Promise.allSettled(done);
        assert.deepEqual(log, [...calls.keys()]);
        assert.deepEqual(
          results.map(({ status }) => status === "rejected"),
          calls.map(([fails]) => fails),
        );
        assert.ok(queue.isIdle);
      }),
      { numRuns: 50 },
    );
  });

  test("that are urgent go before all that wait", async () => {
    const queue = open();
    const first = hold(queue);
    const log: string[] = [];
    const note = (name: string) => async () => void log.push(name);
    const others = [
      queue.run({ name: "pause" }, note("pause")),
      queue.run({ name: "kill", isUrgent: true }, note("kill")),
    ];
    first.end();
    await Promise.all([first.done, ...others]);
    assert.deepEqual(log, ["kill", "pause"]);
  });

  test("that are too many are refused, and say so", async () => {
    const queue = open({ max: 2, timeoutMs: 60_000 });
    const first = hold(queue);
    const waiting = [1, 2].map(() => queue.run({ name: "pause" }, async () => undefined));
    await assert.rejects(
      queue.run({ name: "resume" }, async () => undefined),
      failsWith("vm-busy", /resume of vm-1: 2 calls wait/),
    );
    first.end();
    await Promise.all([first.done, ...waiting]);
  });

  test("wait for so long and no longer, and name what they waited for", async () => {
    const queue = open({ max: 2, timeoutMs: 5 });
    const first = hold(queue, "start");
    await assert.rejects(
      queue.run({ name: "pause" }, async () => assert.fail("begun all the same")),
      failsWith("deadline-exceeded", /pause of vm-1: .* within 5 ms, now: start/),
    );
    first.end();
    await first.done;
    await queue.run({ name: "pause" }, async () => undefined);
  });

  test("are given up while they wait, and never begun then", async () => {
    const queue = open();
    const first = hold(queue);
    const caller = new AbortController();
    const waiting = queue.run({ name: "pause", signal: caller.signal }, async () => assert.fail("begun all the same"));
    caller.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    first.end();
    await first.done;
    assert.ok(queue.isIdle);
  });

  test("are overtaken by name: those that wait at once, the one under way by its signal", async () => {
    const queue = open();
    const first = hold(queue, "start");
    const signal = await first.begun;
    const again = queue.run({ name: "start" }, async () => assert.fail("begun all the same"));
    const pause = queue.run({ name: "pause" }, async () => "paused");
    const idle = queue.idle();
    queue.overtake(["start", "reboot"], new Error("stopped"));
    await assert.rejects(again, /stopped/);
    assert.equal(queue.current, "start");
    assert.match(String(signal.reason), /stopped/);
    first.end();
    assert.equal(await pause, "paused");
    await idle;
    await queue.idle();
  });
});
