import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toVmId, type VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { Store } from "./store.ts";

const names = ["a", "b", "c", "d", "e", "f"] as const;
const [a, b, c] = names.map(toVmId) as [VmId, VmId, VmId];

/** Leases of some VMs that are there. */
function open(): Store {
  const store = Store.open(":memory:");
  names.forEach((id, createdAt) => {
    const record = { id: toVmId(id), state: "starting", generation: 0, incarnation: 1, createdAt };
    store.add(record as unknown as VmRecord);
  });
  return store;
}

describe("leases", () => {
  test("go round the range, so that a number is unused as long as can be", () => {
    using store = open();
    const { leases } = store;
    const range = { first: 10, count: 3 };
    assert.equal(leases.take("vsock-cid", range, a), 10n);
    leases.release(a);
    assert.equal(leases.take("vsock-cid", range, b), 11n);
    assert.equal(leases.take("vsock-cid", range, c), 12n);
    assert.equal(leases.take("vsock-cid", range, a), 10n);
    assert.equal(leases.take("vsock-cid", range, a), undefined);
    assert.equal(leases.take("vsock-cid", { first: 50, count: 1 }, a), 50n);
  });
  test("of one certain value are for one VM, which may ask twice", () => {
    using store = open();
    const { leases } = store;
    assert.equal(leases.claim("host-port", "tcp:0.0.0.0:8080", a), true);
    assert.equal(leases.claim("host-port", "tcp:0.0.0.0:8080", a), true);
    assert.equal(leases.claim("host-port", "tcp:0.0.0.0:8080", b), false);
    assert.equal(leases.claim("cpu", "tcp:0.0.0.0:8080", b), true);
    assert.equal(leases.holderOf("host-port", "tcp:0.0.0.0:8080"), a);
    assert.equal(leases.holderOf("host-port", "udp:0.0.0.0:8080"), undefined);
  });
  test("can be of numbers as large as addresses of IPv6", () => {
    using store = open();
    const { leases } = store;
    const range = { first: 0xfd00n << 112n, count: 1n << 64n };
    assert.equal(leases.take("address6", range, a), range.first);
    assert.equal(leases.take("address6", range, a), range.first + 1n);
    assert.deepEqual(leases.of(a), [
      { kind: "address6", value: String(range.first) },
      { kind: "address6", value: String(range.first + 1n) },
    ]);
    const last = { first: range.first + 1n, count: 1n << 64n };
    assert.equal(leases.take("address6", last, b), range.first + 2n);
  });
  test("never give one number to two VMs, whatever is taken and given back", () => {
    const range = { first: 100, count: 4 };
    const action = fc.record({ vm: fc.integer({ min: 0, max: 5 }), take: fc.boolean() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        using store = open();
        const { leases } = store;
        let held: { vm: number; value: bigint }[] = [];
        for (const { vm, take } of actions) {
          const id = toVmId(names[vm] ?? "a");
          const value = take ? leases.take("address4", range, id) : undefined;
          if (take) assert.equal(value === undefined, held.length === range.count);
          else leases.release(id);
          held = take ? held : held.filter((each) => each.vm !== vm);
          if (value !== undefined) held.push({ vm, value });
          assert.equal(new Set(held.map((each) => each.value)).size, held.length);
        }
        assert.equal(leases.count("address4"), held.length);
      }),
      { numRuns: 50 },
    );
  });
});

describe("ids of users and groups", () => {
  test("rest when they are given back, and are nobody's until that is over", () => {
    using store = open();
    const { leases } = store;
    const range = { first: 7, count: 1 };
    assert.equal(leases.take("uid", range, a), 7n);
    leases.claim("gid", 7, a);
    leases.claim("cpu", 7, a);
    leases.release(a);
    assert.equal(leases.count("uid"), 0);
    assert.equal(leases.take("uid", range, b), undefined);
    assert.equal(leases.claim("uid", 7, b), false);
    assert.equal(leases.claim("uid", 7, a), false);
    assert.equal(leases.claim("cpu", 7, b), true);
    const [resting] = leases.resting("uid");
    assert.equal(resting?.value, "7");
    assert.equal(resting?.lastVm, "a");
    assert.ok(Math.abs((resting?.since ?? 0) - Date.now()) < 60_000);
    leases.lift("uid", [7]);
    assert.equal(leases.claim("gid", 7, b), false);
    assert.equal(leases.take("uid", range, b), 7n);
  });
  test("that a VM has are not lifted", () => {
    using store = open();
    store.leases.claim("uid", 7, a);
    store.leases.lift("uid", [7]);
    assert.equal(store.leases.holderOf("uid", 7), a);
  });
  test("that something unknown has can be made to rest, where nobody has them", () => {
    using store = open();
    const { leases } = store;
    leases.claim("uid", 8, a);
    leases.rest("uid", [7, 8, 7]);
    assert.deepEqual(
      leases.resting("uid").map(({ value, lastVm }) => [value, lastVm]),
      [["7", undefined]],
    );
    assert.equal(leases.take("uid", { first: 7, count: 3 }, b), 9n);
  });
  test("rest after the VM's record is gone", () => {
    using store = open();
    store.leases.claim("uid", 7, a);
    store.forget(a);
    assert.equal(store.leases.resting("uid")[0]?.lastVm, "a");
  });
});
