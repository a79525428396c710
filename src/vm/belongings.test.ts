import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { tenantProblem } from "./belongings.ts";
import { isWarderError } from "./error.ts";
import { parseVmSpec } from "./spec.ts";

const spec = (belongings: object) => parseVmSpec({ kernel: "probe", ...belongings });
const problemOf = (belongings: object) => {
  try {
    spec(belongings);
  } catch (error) {
    return isWarderError(error) ? error.fields : assert.fail(String(error));
  }
  return assert.fail("it was taken");
};

describe("a tenant's name", () => {
  test("is made of what is safe in a path, a label of a metric and a certificate", () => {
    for (const name of ["acme", "cli-tenant", "T.1_2", "0", "a".repeat(63)])
      assert.equal(tenantProblem(name), undefined);
  });

  test("is refused where it is anything else", () => {
    for (const name of ["", "-a", ".", "a/b", "a b", "ä", "a\n", "a".repeat(64)]) {
      assert.equal(typeof tenantProblem(name), "string", JSON.stringify(name));
    }
  });

  test("of any text is taken or refused, never changed", () => {
    fc.assert(
      fc.property(fc.string(), (tenant) => {
        if (tenantProblem(tenant) === undefined) assert.equal(spec({ tenant }).tenant, tenant);
        else assert.equal(problemOf({ tenant })[0]?.field, "tenant");
      }),
    );
  });
});

describe("labels", () => {
  test("are given back as they were", () => {
    const labels = { owner: "jane", "a b/c": "", ü: "ß" };
    assert.deepEqual(spec({ labels }).labels, labels);
  });

  test("are bounded in number, keys and values", () => {
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, ""]));
    assert.deepEqual(problemOf({ labels: many }), [{ field: "labels", problem: "must be at most 64" }]);
    assert.match(problemOf({ labels: { ["ü".repeat(65)]: "" } })[0]?.problem ?? "", /key must be 1 to 128 bytes/);
    assert.deepEqual(problemOf({ labels: { a: "ü".repeat(2049) } }), [
      { field: "labels.a", problem: "must be at most 4096 bytes" },
    ]);
  });
});

test("annotations hold a whole request, and no more", () => {
  assert.equal(spec({ annotations: { request: "x".repeat(1024 * 1024) } }).annotations?.request?.length, 1024 * 1024);
  assert.match(problemOf({ annotations: { request: "x".repeat(1024 * 1024 + 1) } })[0]?.problem ?? "", /at most/);
});
