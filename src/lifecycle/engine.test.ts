import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { realClock } from "../host/real/clock.ts";
import { runSteps, type Step, type StepEvent, StepsFailed } from "./engine.ts";

const steps = (log: string[], failing?: string, undoFailing?: string): Step<object>[] =>
  ["a", "b", "c"].map((name) => ({
    name,
    run() {
      log.push(name);
      if (name === failing) throw new Error(`${name} failed`);
    },
    undo() {
      log.push(`undo ${name}`);
      if (name === undoFailing) throw new Error(`undo ${name} failed`);
    },
  }));
const options = { clock: realClock, signal: new AbortController().signal };

describe("runSteps()", () => {
  test("runs all in order, and tells of each", async () => {
    const log: string[] = [];
    const events: StepEvent[] = [];
    await runSteps(steps(log), {}, { ...options, onStep: (event) => events.push(event) });
    assert.deepEqual(log, ["a", "b", "c"]);
    assert.deepEqual(
      events.map(({ step, phase }) => `${phase} ${step}`),
      ["run a", "run b", "run c"],
    );
    assert.ok(events.every(({ durationMs, error }) => durationMs >= 0 && error === undefined));
  });
  test("takes back in reverse, the failed step too, which may have done half", async () => {
    const log: string[] = [];
    await assert.rejects(runSteps(steps(log, "b"), {}, options), (error: unknown) => {
      assert.ok(error instanceof StepsFailed);
      assert.equal(error.step, "b");
      assert.match(String(error.cause), /b failed/);
      assert.deepEqual(error.cleanup, []);
      return true;
    });
    assert.deepEqual(log, ["a", "b", "undo b", "undo a"]);
  });
  test("takes the others back where one can not be, and keeps both errors", async () => {
    const log: string[] = [];
    await assert.rejects(runSteps(steps(log, "c", "b"), {}, options), (error: unknown) => {
      assert.ok(error instanceof StepsFailed);
      assert.match(String(error.cause), /c failed/);
      assert.deepEqual(error.cleanup.map(String), ["Error: undo b failed"]);
      return true;
    });
    assert.deepEqual(log, ["a", "b", "c", "undo c", "undo b", "undo a"]);
  });
  test("leaves what is in use, where it can not be taken out of use, and still says so where that is kept", async () => {
    const log: string[] = [];
    const [a, b, c] = steps(log, "c", "c") as [Step<object>, Step<object>, Step<object>];
    const kept: unknown[] = [];
    const record: Step<object> = { ...a, undoAlways: true, undo: (_context, left) => void kept.push(...left) };
    await assert.rejects(runSteps([record, b, { ...c, holdsEarlier: true }], {}, options), StepsFailed);
    assert.deepEqual(log, ["a", "b", "c", "undo c"]);
    assert.deepEqual(kept.map(String), ["Error: undo c failed"]);
  });
  test("begins nothing once it is given up, and takes back what was done", async () => {
    const log: string[] = [];
    const caller = new AbortController();
    const list = steps(log);
    const [first] = list;
    const giveUp = { ...first, name: "give up", run: () => caller.abort() } as Step<object>;
    await assert.rejects(runSteps([giveUp, ...list], {}, { ...options, signal: caller.signal }), StepsFailed);
    assert.deepEqual(log, ["undo a", "undo a"]);
  });
});
