import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Json, type JsonObject, mergePatch, metadataSchema, parseMetadata } from "./metadata.ts";

const problems = (input: unknown) =>
  metadataSchema.safeParse(input).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];

describe("metadata", () => {
  test("are served by version 2, and are empty, where nothing is said", () =>
    assert.deepEqual(metadataSchema.parse({}), { data: {}, version: "V2", limitBytes: 51_200 }));
  test("may not be larger than Firecracker takes", () => {
    assert.deepEqual(problems({ data: { a: "x".repeat(51_192) } }), []);
    assert.deepEqual(problems({ data: { a: "x".repeat(51_193) } }), [
      "data: has 51201 bytes as JSON, and may have 51200",
    ]);
    assert.deepEqual(problems({ data: { a: "é" }, limitBytes: 9 }), ["data: has 10 bytes as JSON, and may have 9"]);
  });
  test("name all that is wrong", () => {
    const bad = { data: [], version: "V3", address: "10.0.0.1", interfaces: ["a-b"], limitBytes: 0, more: 1 };
    assert.equal(problems(bad).length, 6, problems(bad).join("\n"));
    assert.notDeepEqual(problems({ address: "169.254.256.1" }), []);
    assert.notDeepEqual(problems({ data: { a: () => 1 } }), []);
  });
  test("are read only from an object", () => {
    assert.deepEqual(parseMetadata({ a: [1, null] }), { a: [1, null] });
    const deep = JSON.parse(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`) as unknown;
    assert.equal(parseMetadata(deep), undefined);
    const circle: { a?: unknown } = {};
    circle.a = circle;
    assert.equal(parseMetadata(circle), undefined);
    for (const other of [null, [], "x", 1, undefined]) assert.equal(parseMetadata(other), undefined);
  });
});

describe("mergePatch()", () => {
  // The examples of RFC 7396, appendix A.
  const cases: readonly (readonly [Json, Json, Json])[] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) {
    test(`${JSON.stringify(target)} by ${JSON.stringify(patch)}`, () =>
      assert.deepEqual(mergePatch(target, patch), result));
  }
  test("done twice is done once, and an empty one changes nothing", () => {
    const objects = fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<JsonObject>;
    fc.assert(
      fc.property(objects, objects, (target, patch) => {
        const once = mergePatch(target, patch);
        assert.deepEqual(mergePatch(once, patch), once);
        assert.deepEqual(mergePatch(target, {}), { ...target });
      }),
    );
  });
  test("has no way to what all objects share", () => {
    const patch = JSON.parse('{"__proto__":{"polluted":true}}') as Json;
    const merged = mergePatch({}, patch);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    assert.equal(JSON.stringify(merged), '{"__proto__":{"polluted":true}}');
  });
});
