import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Coverage, SourceCoverage } from "../../../support/report/coverage.ts";
import { coverageLines, coverageProblems } from "../../../support/report/coverage-text.ts";

const all = { covered: 100, total: 100 };
const good: Coverage = { lines: all, branches: all, files: [], processes: 3, broken: [] };

function source(path: string, uncovered: number, lines: Partial<SourceCoverage> = {}): SourceCoverage {
  const share = { covered: 10 - uncovered, total: 10 };
  return { path, lines: share, branches: all, missedLines: [], missedBranches: [], ...lines };
}

describe("the coverage", () => {
  it("is one line where it is good", () => {
    const lines = coverageLines({ ...good, files: [source("src/a.ts", 9)] }, 90);
    assert.deepEqual(lines, [
      "coverage: lines 100.0 %, branches 100.0 % of src/, from 3 processes; at least 90 % of each is asked for",
    ]);
    assert.deepEqual(coverageProblems(good, 90), []);
  });

  it("names the sources that lack most, with what to look at, where it is too low", () => {
    const missed = { missedLines: [2, 3, 5], missedBranches: [7] };
    const files = [source("src/a.ts", 1, missed), source("src/full.ts", 0), source("src/b.ts", 2)];
    assert.deepEqual(coverageLines({ ...good, lines: { covered: 8999, total: 10_000 }, files }, 90), [
      "coverage: lines 89.9 %, branches 100.0 % of src/, from 3 processes; at least 90 % of each is asked for",
      "coverage lacks most in:",
      "  src/b.ts: lines 80.0 %, branches 100.0 %",
      "  src/a.ts: lines 90.0 %, branches 100.0 %; not run: 2-3, 5; branches not taken: 7",
    ]);
  });

  it("names twenty sources at most", () => {
    const files = Array.from({ length: 30 }, (_, index) => source(`src/${index}.ts`, 1));
    assert.equal(coverageLines({ ...good, branches: { covered: 0, total: 1 }, files }, 90).length, 22);
  });

  it("is a problem for lines and for branches each, with how many are missing", () => {
    const short = { ...good, lines: { covered: 8999, total: 10_000 }, branches: { covered: 17, total: 20 } };
    assert.deepEqual(coverageProblems(short, 90), [
      "coverage of lines below 90 %: 8999 of 10000 (1 more are needed)",
      "coverage of branches below 90 %: 17 of 20 (1 more are needed)",
    ]);
    assert.deepEqual(coverageProblems({ ...good, lines: { covered: 9, total: 10 } }, 90), []);
  });

  it("is a problem where there is none, and none where there is nothing to cover", () => {
    const none = { covered: 0, total: 0 };
    assert.deepEqual(coverageProblems({ ...good, lines: none, branches: none }, 90), []);
    assert.deepEqual(coverageProblems({ ...good, processes: 0 }, 90), [
      "coverage: no process left anything to judge it by",
    ]);
  });

  it("says how many files were left out, and names the first", () => {
    assert.match(
      coverageLines({ ...good, broken: ["coverage-1.json"] }, 90)[1] ?? "",
      /^coverage: left out 1 file that a killed process had written half of \(coverage-1\.json\)$/,
    );
    const many = coverageLines({ ...good, broken: Array.from({ length: 7 }, (_, index) => `${index}`) }, 90);
    assert.match(many[1] ?? "", /left out 7 files .* \(0, 1, 2, 3, 4, …\)$/);
  });
});
