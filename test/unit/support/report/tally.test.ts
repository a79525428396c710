import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestEvent } from "node:test/reporters";
import { countOutcomes, Tally, WHOLE_FILE } from "../../../support/report/tally.ts";

const FILE = "/project/test/unit/a.test.ts";

/** An event as node:test's runner makes it, with what the tally does not look at left out. */
function event(type: TestEvent["type"], data: Record<string, unknown>): TestEvent {
  return { type, data: { nesting: 0, file: FILE, entryFile: FILE, ...data } } as unknown as TestEvent;
}

function passed(name: string, data: Record<string, unknown> = {}): TestEvent {
  return event("test:pass", { name, details: { duration_ms: 1, type: "test" }, ...data });
}

function failed(name: string, failureType: string, data: Record<string, unknown> = {}): TestEvent {
  const error = Object.assign(new Error("wrapper", { cause: new Error("what the test threw") }), { failureType });
  return event("test:fail", { name, details: { duration_ms: 1, type: "test", error }, ...data });
}

function tallyOf(...events: readonly TestEvent[]): Tally {
  const tally = new Tally("/project");
  for (const each of events) tally.take(each);
  tally.take(event("test:summary", { duration_ms: 5 }));
  return tally;
}

function outcomes(tally: Tally): string[] {
  return tally.records.map(
    ({ name, outcome, reason }) => `${outcome}: ${name}${reason === undefined ? "" : `: ${reason}`}`,
  );
}

describe("Tally", () => {
  it("names a test by its suites and its file by its path in the project", () => {
    const tally = tallyOf(
      event("test:start", { name: "outer" }),
      event("test:start", { name: "inner", nesting: 1 }),
      event("test:start", { name: "works", nesting: 2 }),
      passed("works", { nesting: 2 }),
    );
    assert.deepEqual(outcomes(tally), ["passed: outer > inner > works"]);
    assert.equal(tally.records[0]?.file, "test/unit/a.test.ts");
  });

  it("counts neither suites nor tests that failed only because a test in them did", () => {
    const tally = tallyOf(
      event("test:start", { name: "suite" }),
      failed("test", "testCodeFailure", { nesting: 1 }),
      failed("suite", "subtestsFailed", {
        details: { duration_ms: 1, type: "suite", error: { failureType: "subtestsFailed" } },
      }),
      passed("good suite", { details: { duration_ms: 1, type: "suite" } }),
    );
    assert.deepEqual(outcomes(tally), ["failed: suite > test"]);
  });

  it("counts a suite whose hook failed", () => {
    assert.deepEqual(outcomes(tallyOf(failed("suite", "hookFailed"))), ["failed: suite"]);
  });

  it("counts a skipped suite as one skip, with its reason", () => {
    const suite = { details: { duration_ms: 0, type: "suite" }, skip: "needs kvm: none" };
    assert.deepEqual(outcomes(tallyOf(passed("suite", suite))), ["skipped: suite: needs kvm: none"]);
  });

  for (const skip of [true, "", "  "]) {
    it(`takes a skip for the reason ${JSON.stringify(skip)} for a failure`, () => {
      assert.deepEqual(outcomes(tallyOf(passed("test", { skip }))), ["failed: test"]);
    });
  }

  it("takes a test to be done for a skip, however it ended", () => {
    const tally = tallyOf(failed("test", "testCodeFailure", { todo: "when there is a kernel for it" }));
    assert.deepEqual(outcomes(tally), ["skipped: test: to be done: when there is a kernel for it"]);
  });

  it("attributes a test that a helper declares to the file that was run", () => {
    const tally = tallyOf(passed("shared", { file: "/project/test/support/shared.ts" }));
    assert.equal(tally.records[0]?.file, "test/unit/a.test.ts");
  });

  it("takes a file without tests for a failure", () => {
    const tally = tallyOf(passed(FILE, { entryFile: undefined }));
    assert.deepEqual(outcomes(tally), [`failed: ${WHOLE_FILE}`]);
  });

  it("takes a file whose process ended badly after its tests for a failure beside them", () => {
    const tally = tallyOf(passed("good"), failed(FILE, "testCodeFailure", { entryFile: undefined }));
    assert.deepEqual(countOutcomes(tally.records), { passed: 1, failed: 1, skipped: 0 });
  });

  it("tells of each test and each line of output once, when the file ends and when more comes after it", () => {
    const tally = new Tally("/project");
    tally.take(event("test:stderr", { message: "one\n" }));
    assert.equal(tally.take(passed("good")), undefined);
    const atEnd = tally.take(event("test:summary", { duration_ms: 7 }));
    assert.equal(atEnd?.output, "one\n");
    assert.equal(atEnd?.records.length, 1);
    assert.equal(atEnd?.durationMs, 7);
    const afterwards = tally.take(failed(FILE, "testCodeFailure", { entryFile: undefined }));
    assert.equal(afterwards?.output, "");
    assert.deepEqual(
      afterwards?.records.map(({ name }) => name),
      [WHOLE_FILE],
    );
    assert.equal(tally.records.length, 2);
  });

  it("takes no notice of the summary of the whole run", () => {
    assert.equal(
      new Tally("/project").take(event("test:summary", { file: undefined, entryFile: undefined })),
      undefined,
    );
  });
});
