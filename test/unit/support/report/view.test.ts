import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestEvent } from "node:test/reporters";
import type { FileResult, TestRecord } from "../../../support/report/tally.ts";
import { pipeView, TerminalView, withTicks } from "../../../support/report/view.ts";

const record: TestRecord = { file: "a.test.ts", name: "one", outcome: "passed", durationMs: 1 };
const goodFile: FileResult = { file: "a.test.ts", records: [record], output: "", durationMs: 100 };
const badFile: FileResult = { ...goodFile, records: [{ ...record, outcome: "failed", failure: "Error: no" }] };

function complete(data: Record<string, unknown>): TestEvent {
  const details = { duration_ms: 1, passed: true, type: "test" };
  return { type: "test:complete", data: { name: "one", nesting: 1, details, ...data } } as unknown as TestEvent;
}
const summary = { type: "test:summary", data: {} } as unknown as TestEvent;

/** The line that a terminal shows at its foot after what was printed. */
function lastLine(printed: string): string {
  return printed.split("\n").at(-1)?.split("\u001b[2K").at(-1) ?? "";
}

describe("pipeView", () => {
  it("prints a line for each file that has ended and nothing else", () => {
    assert.equal(pipeView.show(complete({}), undefined), "");
    assert.equal(pipeView.show(summary, goodFile), "ok   a.test.ts (1 test, 0.1 s)\n");
    assert.match(pipeView.show(summary, badFile), /^FAIL a\.test\.ts .*\n\n {2}one\n {4}Error: no\n\n$/);
    assert.equal(pipeView.close(), "");
  });
});

describe("TerminalView", () => {
  it("counts tests as they end, and not their suites and files", () => {
    const view = new TerminalView(80);
    view.show(complete({}), undefined);
    view.show(complete({ skip: "needs kvm: none" }), undefined);
    view.show(complete({ details: { duration_ms: 1, passed: true, type: "suite" } }), undefined);
    view.show(complete({ name: "/a.test.ts", file: "/a.test.ts", nesting: 0 }), undefined);
    const printed = view.show(complete({ name: "two", details: { duration_ms: 1, passed: false } }), undefined);
    assert.match(lastLine(printed), /^3 tests, 1 failed, 1 skipped, 0\.\d s {2}two$/);
  });

  it("says nothing of a good file and all of a bad one, and keeps its line at the foot", () => {
    const view = new TerminalView(80);
    assert.equal(view.show(summary, goodFile), "");
    const printed = view.show(summary, badFile);
    assert.match(printed, /FAIL a\.test\.ts/);
    assert.match(lastLine(printed), /^0 tests, /);
  });

  it("redraws its line on a tick, never wider than the terminal", () => {
    const view = new TerminalView(50);
    view.show(complete({ name: "a test with a long name ".repeat(5) }), undefined);
    assert.equal(lastLine(view.show("tick", undefined)).length, 49);
  });

  it("removes its line at the end", () => {
    assert.equal(lastLine(new TerminalView(80).close()), "");
  });
});

describe("withTicks", () => {
  it("passes all events on and ticks while none comes", async () => {
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    async function* slow() {
      yield summary;
      await enough;
      yield complete({});
    }
    const seen: string[] = [];
    for await (const event of withTicks(slow(), 5)) {
      seen.push(event === "tick" ? event : event.type);
      if (seen.filter((each) => each === "tick").length === 2) resolve();
    }
    assert.deepEqual([seen[0], seen[1], seen[2], seen.at(-1)], ["test:summary", "tick", "tick", "test:complete"]);
  });
});
