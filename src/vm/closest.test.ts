import assert from "node:assert/strict";
import { test } from "node:test";
import { closest } from "./closest.ts";

const known = ["--memory", "--memory-limit", "--id", "--io", "--vcpus"];

for (const [word, meant] of [
  ["--memry", "--memory"],
  ["--memory_limit", "--memory-limit"],
  ["--vpcus", "--vcpus"],
  ["--idd", "--id"],
] as const) {
  test(`${word} was probably meant to be ${meant}`, () => assert.equal(closest(word, known), meant));
}

test("another word is no slip", () => {
  assert.equal(closest("--frobnicate", known), undefined);
  assert.equal(closest("x", ["ps", "rm"]), undefined);
});
