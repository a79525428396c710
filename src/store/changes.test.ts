import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { VmChange } from "../vm/change.ts";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { canTransition, type VmState, vmStates } from "../vm/state.ts";
import { Store } from "./store.ts";

const id = toVmId("vm-1");

/** Only what the store looks at. */
const record = (state: VmState = "created") =>
  ({ id, state, generation: 0, incarnation: 0, createdAt: 1, timings: {}, history: [] }) as unknown as VmRecord;

describe("changes of state", () => {
  test("are written down with the record, and not without it: a transaction that is taken back leaves no gap", () => {
    using store = Store.open(":memory:");
    const told: VmChange[] = [];
    store.changes.subscribe((change) => told.push(change));
    const failing = () =>
      store.transaction(() => {
        store.add(record());
        throw new Error("no");
      });
    assert.throws(failing, /no/);
    store.transaction(() => {
      store.add(record());
      store.update(id, (each) => ({ ...each, state: "starting", incarnation: 1 }));
      assert.deepEqual(told, [], "nobody is told before it is so");
    });
    assert.deepEqual(
      told.map(({ sequence, state, generation, incarnation }) => [sequence, state, generation, incarnation]),
      [
        [1, "created", 0, 0],
        [2, "starting", 1, 1],
      ],
    );
    assert.deepEqual(store.changes.read({ after: 0, limit: 9 }), told);
    assert.deepEqual(store.changes.bounds(), { before: 0, newest: 2 });
  });

  test("are those that there can be: any other is refused, and changes nothing", () => {
    fc.assert(
      fc.property(fc.constantFrom(...vmStates), fc.constantFrom(...vmStates), (from, to) => {
        using store = Store.open(":memory:");
        store.add(record(from));
        const change = () => store.update(id, (each) => ({ ...each, state: to }));
        if (from === to || canTransition(from, to)) {
          assert.equal(change().state, to);
          return;
        }
        assert.throws(change, (error) => isWarderError(error) && error.code === "internal");
        assert.deepEqual([store.get(id)?.state, store.changes.bounds().newest], [from, 1]);
      }),
    );
  });

  test("say why: as they are told, else by the exit", () => {
    using store = Store.open(":memory:");
    store.add(record("running"));
    const exit = { cause: "guest-panic" } as VmRecord["exit"] & object;
    store.update(id, (each) => ({ ...each, state: "exited", exit }));
    store.forget(id, "it ended long ago");
    const reasons = store.changes.read({ after: 0, limit: 9 }).map(({ reason }) => reason);
    assert.deepEqual(reasons, [undefined, "guest-panic", "it ended long ago"]);
    assert.ok(store.changes.hasRemoved(id));
    assert.ok(!store.changes.hasRemoved(toVmId("vm-2")));
  });
});

test("a record of the first schema gets what it lacks: a run, a history, a restart policy", () => {
  const directory = fs.mkdtempSync(join(tmpdir(), "warder-store-"));
  try {
    const path = join(directory, "state.db");
    const old = new DatabaseSync(path);
    old.exec(`
      CREATE TABLE vms (id TEXT PRIMARY KEY, state TEXT NOT NULL, generation INTEGER NOT NULL,
        created_at INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
      CREATE INDEX vms_by_creation ON vms (created_at, id);
      CREATE TABLE leases (kind TEXT NOT NULL, value INTEGER NOT NULL, vm_id TEXT NOT NULL REFERENCES vms (id),
        PRIMARY KEY (kind, value)) STRICT, WITHOUT ROWID;
      CREATE INDEX leases_by_vm ON leases (vm_id);
      CREATE TABLE lease_cursors (kind TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE ledger (vm_id TEXT NOT NULL REFERENCES vms (id), kind TEXT NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (vm_id, kind, name)) STRICT, WITHOUT ROWID;
      INSERT INTO vms VALUES ('vm-1', 'running', 3, 1, '{"id":"vm-1","state":"running","generation":3,"spec":{"vcpus":2}}');
      PRAGMA user_version = 1;`);
    old.close();
    using store = Store.open(path);
    const { incarnation, history, spec } = store.get(id) ?? assert.fail("it is there");
    assert.deepEqual([incarnation, history, spec.restart.policy, spec.vcpus], [1, [], "never", 2]);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
