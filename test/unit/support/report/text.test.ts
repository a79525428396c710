import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestRecord } from "../../../support/report/tally.ts";
import {
  countsText,
  failedLines,
  failureLines,
  fileLine,
  secondsText,
  skipLines,
} from "../../../support/report/text.ts";
import { endText } from "../../../support/reporter.ts";

const good: TestRecord = { file: "a.test.ts", name: "good", outcome: "passed", durationMs: 1 };
const bad: TestRecord = { ...good, name: "bad", outcome: "failed", failure: "Error: no\n    at here" };
const skipped: TestRecord = { ...good, name: "later", outcome: "skipped", reason: "needs kvm: none" };

describe("the report of a run", () => {
  it("ends with the counts, in which a problem that is no test counts as a failure", () => {
    const text = endText({ records: [good, bad, skipped], problems: ["static checks"] });
    assert.equal(text.split("\n").at(-2), "1 passed, 2 failed, 1 skipped");
    assert.ok(text.endsWith("\n"));
  });

  it("is nothing but the counts where all is well", () => {
    assert.equal(endText({ records: [good], problems: [] }), "1 passed, 0 failed, 0 skipped\n");
  });

  it("lists skips by what is missing, with how many and which", () => {
    const other = { ...skipped, name: "too" };
    const third = { ...skipped, name: "elsewhere", reason: "needs root: none" };
    assert.deepEqual(skipLines([good, skipped, other, third]), [
      "Skipped:",
      "  2 × needs kvm: none",
      "      a.test.ts: later",
      "      a.test.ts: too",
      "  1 × needs root: none",
      "      a.test.ts: elsewhere",
    ]);
    assert.deepEqual(skipLines([good]), []);
  });

  it("lists failures, tests first", () => {
    assert.deepEqual(failedLines([good, bad], ["static checks"]), ["Failed:", "  a.test.ts: bad", "  static checks"]);
    assert.deepEqual(failedLines([good], []), []);
  });

  it("gives a file one line", () => {
    const file = { file: "a.test.ts", output: "", durationMs: 1234 };
    assert.equal(fileLine({ ...file, records: [good] }), "ok   a.test.ts (1 test, 1.2 s)");
    assert.equal(
      fileLine({ ...file, records: [good, bad, skipped] }),
      "FAIL a.test.ts (3 tests, 1 failed, 1 skipped, 1.2 s)",
    );
  });

  it("tells all about failures and what the file printed, and nothing of a good file's output", () => {
    const file = { file: "a.test.ts", output: "a warning\n", durationMs: 1 };
    assert.deepEqual(failureLines({ ...file, records: [bad] }), [
      "",
      "  bad",
      "    Error: no",
      "        at here",
      "",
      "  what the file printed:",
      "    a warning",
      "",
    ]);
    assert.deepEqual(failureLines({ ...file, records: [good] }), []);
  });

  it("says counts and durations in one form", () => {
    assert.equal(countsText({ passed: 12, failed: 0, skipped: 3 }), "12 passed, 0 failed, 3 skipped");
    assert.deepEqual([40, 9_949, 12_345].map(secondsText), ["0.0 s", "9.9 s", "12 s"]);
  });
});
