import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { generateVmId, toVmId, VM_ID_MAX_LENGTH, vmIdProblem } from "./id.ts";

describe("vmIdProblem()", () => {
  for (const good of ["a", "vm-1645123456789", "A-9", "-", "x".repeat(64)]) {
    test(`takes ${good.slice(0, 20)}`, () => assert.equal(vmIdProblem(good), undefined));
  }
  for (const bad of ["", "x".repeat(65), "../x", "é", "a_b", "a.b", "a b", "a\n", "a/b", "\0"]) {
    test(`refuses ${JSON.stringify(bad.slice(0, 20))}`, () => assert.equal(typeof vmIdProblem(bad), "string"));
  }
  test("takes exactly what is safe as one component of a path", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => {
        const isSafe = /^[A-Za-z0-9-]+$/.test(text) && text.length <= VM_ID_MAX_LENGTH;
        assert.equal(vmIdProblem(text) === undefined, isSafe);
      }),
    );
  });
});

describe("toVmId()", () => {
  test("names the id and the problem", () => assert.throws(() => toVmId("a_b"), /"a_b" may hold only/));
});

describe("generateVmId()", () => {
  test("gives 10 000 different ids, in order, even if the clock stands still or goes back", () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => generateVmId(index % 2 === 0 ? 5_000n : 4_000n));
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(
      ids.toSorted((a, b) => (BigInt(a.slice(3)) < BigInt(b.slice(3)) ? -1 : 1)),
      ids,
    );
    assert.deepEqual(
      ids.filter((id) => vmIdProblem(id) !== undefined),
      [],
    );
  });
});
