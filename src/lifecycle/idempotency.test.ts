import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Store } from "../store/store.ts";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { parseVmSpec } from "../vm/spec.ts";
import { findMade, keepKey, MadeMeanwhile, toIdempotency } from "./idempotency.ts";

const id = toVmId("vm-1");
const spec = parseVmSpec({ kernel: "/k" });
const record = {
  id,
  state: "created",
  generation: 0,
  incarnation: 0,
  createdAt: 1,
  history: [],
} as unknown as VmRecord;
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

describe("an idempotency key", () => {
  test("finds the VM that was made with it, as long as there is one", () => {
    using store = Store.open(":memory:");
    const idempotency = toIdempotency("key", spec);
    assert.equal(findMade(store, idempotency), undefined);
    store.transaction(() => {
      store.add(record);
      keepKey(store, idempotency, id);
    });
    assert.equal(findMade(store, idempotency), id);
    store.forget(id);
    assert.equal(findMade(store, idempotency), undefined);
  });
  test("of another request is a conflict", () => {
    using store = Store.open(":memory:");
    store.add(record);
    keepKey(store, toIdempotency("key", spec), id);
    const other = toIdempotency("key", parseVmSpec({ kernel: "/k", vcpus: 2 }));
    assert.throws(() => findMade(store, other), code("idempotency-conflict"));
    assert.throws(() => keepKey(store, other, toVmId("vm-2")), code("idempotency-conflict"));
  });
  test("that somebody else used meanwhile is found instead of used twice", () => {
    using store = Store.open(":memory:");
    store.add(record);
    keepKey(store, toIdempotency("key", spec), id);
    assert.throws(() => keepKey(store, toIdempotency("key", spec), toVmId("vm-2")), MadeMeanwhile);
  });
  test("stands for the same request whatever the order of its members, and for no other", () => {
    const members = { kernel: "/k", vcpus: 2, limits: { pids: 7, openFiles: 99 }, drives: [{ path: "/d" }] };
    const entries = fc.shuffledSubarray(Object.entries(members), { minLength: 4 });
    const expected = toIdempotency("key", parseVmSpec(members)).request;
    fc.assert(
      fc.property(entries, fc.boolean(), (shuffled, isOther) => {
        const input = { ...Object.fromEntries(shuffled), ...(isOther ? { vcpus: 3 } : {}) };
        assert.equal(toIdempotency("key", parseVmSpec(input)).request === expected, !isOther);
      }),
    );
  });
  test("is 1 to 255 printable characters", () => {
    for (const key of ["", " ", "a b", "é", "\n", "x".repeat(256)])
      assert.throws(() => toIdempotency(key, spec), code("invalid-argument"), JSON.stringify(key));
    assert.equal(toIdempotency("x".repeat(255), spec).key.length, 255);
  });
});
