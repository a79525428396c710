import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toVmId } from "../vm/id.ts";
import { parseVmSpec } from "../vm/spec.ts";
import { formatDescription, parseDescription, type VmDescription } from "./description.ts";
import { Store } from "./store.ts";

const id = toVmId("vm-1");
const directory = "/srv/jailer/firecracker/vm-1";
const described = {
  record: {
    id,
    state: "running",
    generation: 4,
    incarnation: 1,
    createdAt: 1_700_000_000_000,
    spec: parseVmSpec({ id, kernel: "probe" }),
    binaries: { firecracker: "/usr/bin/firecracker", jailer: "/usr/bin/jailer", version: "1.14.1" },
    jailed: true,
    uid: 500_000,
    gid: 500_000,
    layout: {
      id,
      base: "/srv/jailer",
      execName: "firecracker",
      directory,
      root: `${directory}/root`,
      io: `${directory}/io`,
      alias: "/srv/jailer/vm-1",
      socket: `${directory}/root/run/firecracker.socket`,
      apiSocket: "/run/firecracker.socket",
    },
    cgroup: { version: 2, path: "/jailer/vm-1", directories: { memory: "/sys/fs/cgroup/jailer/vm-1" } },
    process: { pid: 77, startTicks: "1234", bootId: "a-b" },
    rootIdentity: { device: 1, inode: 2 },
    timings: { totalMs: 12.5 },
    startedAt: 1_700_000_000_100,
    history: [],
  },
  leases: [{ kind: "uid", value: "500000" }],
  ledger: [{ kind: "directory", name: directory }],
  documents: { "wanted-isolation": { vcpus: 1 } },
} as unknown as VmDescription;

const spoil = (change: (value: { format: number; record: { layout: object } }) => void) => {
  const copy = JSON.parse(formatDescription(described));
  change(copy);
  return parseDescription(JSON.stringify(copy), id);
};

describe("a description", () => {
  test("is read as it was written", () => {
    assert.deepEqual(parseDescription(formatDescription(described), id), described);
  });
  test("brings a VM back into another store, with leases, ledger and documents", () => {
    using first = Store.open(":memory:");
    assert.deepEqual(first.restore(described), []);
    using second = Store.open(":memory:");
    const again = first.describe(id);
    assert.ok(again !== undefined);
    assert.deepEqual(second.restore(again), []);
    assert.deepEqual(second.describe(id), again);
    assert.deepEqual(again, described);
    assert.equal(second.leases.holderOf("uid", 500_000), id);
    assert.equal(second.describe(toVmId("vm-2")), undefined);
  });
  test("tells which of its leases another VM has", () => {
    using store = Store.open(":memory:");
    const other = { ...described, record: { ...described.record, id: toVmId("vm-0") } };
    store.restore(other);
    assert.deepEqual(store.restore(described), [{ kind: "uid", value: "500000" }]);
    assert.equal(store.get(id)?.state, "running");
  });
  test("is refused with the reason where it is half written, of another format, or of another VM", () => {
    const text = formatDescription(described);
    assert.match(JSON.stringify(parseDescription(text.slice(0, 200), id)), /problem/);
    assert.match(JSON.stringify(spoil((each) => Object.assign(each, { format: 2 }))), /format/);
    assert.match(JSON.stringify(parseDescription(text, toVmId("vm-2"))), /it is of vm-1/);
  });
  test("is refused where it would lead a removal elsewhere", () => {
    for (const [member, value] of [
      ["directory", "/etc"],
      ["root", "/"],
      ["base", "/srv/jailer/.."],
      ["alias", "/srv/jailer/vm-2"],
      ["id", "vm-2"],
    ] as const) {
      const outcome = spoil(({ record }) => Object.assign(record.layout, { [member]: value }));
      assert.ok("problem" in outcome, member);
    }
  });
  test("is refused where what is acted on is not of its kind", () => {
    for (const change of [
      { state: "flying" },
      { process: { pid: -1, startTicks: "1", bootId: "b" } },
      { process: { pid: 1, startTicks: "x", bootId: "b" } },
      { uid: "0" },
      { cgroup: { version: 3, path: "/", directories: {} } },
      { history: [{}] },
      { spec: {} },
    ]) {
      const outcome = spoil(({ record }) => void Object.assign(record, change));
      assert.ok("problem" in outcome, JSON.stringify(change));
    }
  });
  test("is read to its end, whatever it is", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => "problem" in parseDescription(text, id)));
  });
});
