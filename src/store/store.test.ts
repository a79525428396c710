import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";
import { isWarderError } from "../vm/error.ts";
import type { ErrorCode } from "../vm/error-codes.ts";
import { toVmId, type VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmState } from "../vm/state.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { Store } from "./store.ts";

const directory = fs.mkdtempSync(join(tmpdir(), "warder-store-"));
after(() => fs.rmSync(directory, { recursive: true, force: true }));
let count = 0;
const fresh = () => join(directory, `${++count}.db`);
const code = (wanted: ErrorCode) => (error: unknown) => isWarderError(error) && error.code === wanted;
const id = toVmId("vm-1");

/** Only what the store looks at. */
const record = (vmId: VmId = id, state: VmState = "starting") =>
  ({
    id: vmId,
    state,
    generation: 0,
    incarnation: 1,
    createdAt: ++count,
    timings: {},
    history: [],
  }) as unknown as VmRecord;

describe("records", () => {
  test("are kept over a closing, oldest first", () => {
    const path = fresh();
    using first = Store.open(path);
    first.add(record(toVmId("b")));
    first.add(record(toVmId("a")));
    first.close();
    using second = Store.open(path);
    assert.deepEqual(
      second.list().map((each) => each.id),
      ["b", "a"],
    );
    assert.equal(second.get(toVmId("c")), undefined);
  });
  test("count each change, and only changes", () => {
    using store = Store.open(fresh());
    store.add(record());
    assert.equal(store.update(id, (each) => ({ ...each, state: "running" })).generation, 1);
    assert.equal(store.update(id, (each) => each).generation, 1);
    assert.equal(store.get(id)?.state, "running");
    assert.throws(() => store.update(toVmId("x"), (each) => each), code("vm-not-found"));
  });
  test("of a living VM keep their id; of an ended one they give way, with leases and ledger", () => {
    using store = Store.open(fresh());
    store.add(record());
    store.leases.claim("uid", 5, id);
    store.enter(id, [{ kind: "directory", name: "/x" }]);
    assert.throws(() => store.add(record()), code("vm-exists"));
    store.update(id, (each) => ({ ...each, state: "exited" }));
    store.add(record());
    assert.equal(store.leases.count("uid"), 0);
    assert.deepEqual(store.ledger(), []);
  });
  test("a refused change changes nothing", () => {
    using store = Store.open(fresh());
    store.add(record());
    assert.throws(
      () =>
        store.transaction(() => {
          store.leases.claim("uid", 9, id);
          store.update(id, (each) => ({ ...each, state: "failed" }));
          throw new Error("no");
        }),
      /no/,
    );
    assert.equal(store.get(id)?.state, "starting");
    assert.equal(store.leases.count("uid"), 0);
  });
  test("are seen by another opener at once", () => {
    const path = fresh();
    using first = Store.open(path);
    using second = Store.open(path);
    first.add(record());
    assert.throws(() => second.add(record()), code("vm-exists"));
    second.update(id, (each) => ({ ...each, state: "exited" }));
    assert.equal(first.get(id)?.state, "exited");
  });
});

describe("the ledger", () => {
  test("takes an entry once and strikes it out", () => {
    using store = Store.open(fresh());
    store.add(record());
    const entries = [
      { kind: "directory", name: "/x" },
      { kind: "cgroup", name: "/y" },
    ] as const;
    store.enter(id, entries);
    store.enter(id, entries);
    assert.equal(store.ledger(id).length, 2);
    store.strike(id, [entries[0]]);
    assert.deepEqual(store.ledger(), [{ vmId: id, kind: "cgroup", name: "/y" }]);
    store.forget(id);
    assert.deepEqual(store.ledger(), []);
  });
});

describe("a database", () => {
  test("of a newer Warder is refused", () => {
    const path = fresh();
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    database.close();
    assert.throws(
      () => Store.open(path),
      (error: Error) => code("store-failed")(error) && /versions up to/.test(error.message),
    );
  });
  test("that is damaged is refused by name, and left as it is", () => {
    const path = fresh();
    fs.writeFileSync(path, "this is no database, and longer than its header would be".repeat(100));
    const before = fs.readFileSync(path);
    assert.throws(
      () => Store.open(path),
      (error: Error) => code("store-damaged")(error) && error.message.includes(path),
    );
    assert.deepEqual(fs.readFileSync(path), before);
  });
  test("in a directory that is not there is refused", () =>
    assert.throws(() => Store.open("/nowhere/state.db"), code("store-failed")));
});
