import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { RunReport } from "../../support/reporter.ts";

const REPORTER = join(import.meta.dirname, "../../support/reporter.ts");

const FILES = {
  "good.test.mjs": `
    import { describe, it } from "node:test";
    describe("suite", () => { it("works", () => {}); it("waits", { skip: "needs kvm: none" }, () => {}); });`,
  "bad.test.mjs": `
    import assert from "node:assert/strict";
    import { test } from "node:test";
    test("differs", () => { console.error("on stderr"); assert.deepEqual([1, 2], [1, 3]); });
    test("throws", () => { throw new Error("outer", { cause: new Error("inner") }); });
    test("is aborted", { signal: AbortSignal.abort(new Error("must be there")) }, () => {});
    test("passes", () => {});`,
  "broken.test.mjs": "this is no program",
  "empty.test.mjs": "",
};

describe("the reporter, under node's own runner", () => {
  let directory = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "warder-reporter-"));
    for (const [name, text] of Object.entries(FILES)) writeFileSync(join(directory, name), text);
  });
  after(() => rmSync(directory, { recursive: true }));

  function runTests(files: readonly (keyof typeof FILES)[], report = "") {
    const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...rest } = process.env;
    const arguments_ = ["--test", `--test-reporter=${REPORTER}`, "--test-reporter-destination=stdout", ...files];
    const env = { ...rest, WARDER_TEST_REPORT: report };
    const { stdout, status } = spawnSync(process.execPath, arguments_, { cwd: directory, env, encoding: "utf8" });
    return { stdout, status, lines: stdout.trimEnd().split("\n") };
  }

  it("prints a line for the file, the skips and the counts where all is well", () => {
    const { status, stdout } = runTests(["good.test.mjs"]);
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^ok {3}good\.test\.mjs \(2 tests, 1 skipped, \d\.\d s\)\nSkipped:\n {2}1 × needs kvm: none\n {6}good\.test\.mjs: suite > waits\n1 passed, 0 failed, 1 skipped\n$/,
    );
  });

  it("tells failures with their difference, their causes and what was printed", () => {
    const { status, stdout, lines } = runTests(["bad.test.mjs"]);
    assert.equal(status, 1);
    assert.match(stdout, /\+ {3}2\n\s*- {3}3/);
    assert.match(stdout, /Error: outer[\s\S]*caused by: Error: inner/);
    assert.match(stdout, /is aborted\n\s+Error: must be there/);
    assert.match(stdout, /what the file printed:\n\s+on stderr/);
    assert.equal(lines.at(-1), "1 passed, 3 failed, 0 skipped");
  });

  it("takes files that do not load and files without tests for failures", () => {
    const { status, stdout, lines } = runTests(["broken.test.mjs", "empty.test.mjs"]);
    assert.equal(status, 1);
    assert.match(stdout, /SyntaxError/);
    assert.equal(lines.at(-1), "0 passed, 2 failed, 0 skipped");
  });

  it("leaves the end to the one who asked for a report", () => {
    const path = join(directory, "report.json");
    const { lines } = runTests(["good.test.mjs"], path);
    assert.match(lines.at(-1) ?? "", /^ok {3}good/);
    const report = JSON.parse(readFileSync(path, "utf8")) as RunReport;
    assert.deepEqual(
      report.records.map(({ file, name, outcome }) => ({ file, name, outcome })),
      [
        { file: "good.test.mjs", name: "suite > works", outcome: "passed" },
        { file: "good.test.mjs", name: "suite > waits", outcome: "skipped" },
      ],
    );
  });
});
