import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseStat } from "./proc-stat.ts";

const rest = `S 7 ${Array.from({ length: 17 }, () => "0").join(" ")} 4242 0 0`;

describe("parseStat()", () => {
  test("reads this very process", () => {
    const stat = parseStat(readFileSync("/proc/self/stat", "utf8"));
    assert.equal(stat?.pid, process.pid);
    assert.equal(stat?.parentPid, process.ppid);
  });
  test("is not misled by what a process calls itself", () => {
    fc.assert(
      fc.property(fc.string(), (command) => {
        assert.deepEqual(parseStat(`12 (${command}) ${rest}`), {
          pid: 12,
          command,
          state: "S",
          parentPid: 7,
          startTicks: "4242",
        });
      }),
    );
  });
  test("gives nothing for anything else", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseStat(text)));
    for (const text of ["", "12", "12 (a", "12 (a) S", "x (a) S"]) assert.equal(parseStat(text), undefined);
  });
});
