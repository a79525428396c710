import assert from "node:assert/strict";
import { test } from "node:test";
import { compareVersions, MINIMUM_VERSION, PINNED_VERSION, supportOf } from "./version.ts";

test("versions are compared by number, not by letter", () => {
  const sorted = ["1.9.2", "1.12.1", "1.14.0", "1.14.1", "1.16.1", "2.0.0"];
  assert.deepEqual(sorted.toReversed().toSorted(compareVersions), sorted);
});

test("a suffix makes no difference, and what is no version is oldest", () => {
  assert.equal(compareVersions("1.17.0-dev", "1.17.0"), 0);
  assert.ok(compareVersions("latest", "0.0.1") < 0);
});

test("the pinned release is a supported one", () => {
  assert.ok(supportOf(PINNED_VERSION).supported);
  assert.ok(supportOf(MINIMUM_VERSION).supported);
});

test("releases before the minimum are not supported, and it is said why", () => {
  assert.deepEqual(supportOf("1.12.1"), {
    supported: false,
    why: "1.12.1 is out of support upstream; 1.14.1 or newer is needed",
  });
});
