import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { jailPathProblem, pathProblem, toHostPath, toJailPath } from "./path.ts";

describe("pathProblem()", () => {
  for (const [bad, why] of [
    ["", /empty/],
    ["relative", /absolute/],
    ["/a\0b", /NUL/],
  ] as const) {
    test(`refuses ${JSON.stringify(bad)}`, () => assert.match(pathProblem(bad) ?? "", why));
  }
  test("leaves a host path as it is", () => assert.equal(toHostPath("/a/../b"), "/a/../b"));
});

describe("jailPathProblem()", () => {
  for (const bad of ["/", "/a//b", "/a/./b", "/a/../b", "/..", "/a/", "a"]) {
    test(`refuses ${bad}`, () => {
      assert.equal(typeof jailPathProblem(bad), "string");
      assert.throws(() => toJailPath(bad), RangeError);
    });
  }
  test("takes only paths that stay below the jail's root", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "..", ".", "", "b.c"), { maxLength: 6 }), (parts) => {
        const path = `/${parts.join("/")}`;
        if (jailPathProblem(path) !== undefined) return;
        const normal = new URL(`file://${path}`).pathname;
        assert.equal(normal, path);
      }),
    );
  });
});
