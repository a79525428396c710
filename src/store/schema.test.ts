import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { Store } from "./store.ts";

const directory = fs.mkdtempSync(join(tmpdir(), "warder-schema-"));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Databases as earlier releases made and filled them, word by word. Entries are only ever added. */
const earlier: Readonly<Record<number, string>> = {
  1: `
    CREATE TABLE vms (id TEXT PRIMARY KEY, state TEXT NOT NULL, generation INTEGER NOT NULL, created_at INTEGER NOT NULL,
      record TEXT NOT NULL) STRICT;
    CREATE INDEX vms_by_creation ON vms (created_at, id);
    CREATE TABLE leases (kind TEXT NOT NULL, value INTEGER NOT NULL, vm_id TEXT NOT NULL REFERENCES vms (id),
      PRIMARY KEY (kind, value)) STRICT, WITHOUT ROWID;
    CREATE INDEX leases_by_vm ON leases (vm_id);
    CREATE TABLE lease_cursors (kind TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE ledger (vm_id TEXT NOT NULL REFERENCES vms (id), kind TEXT NOT NULL, name TEXT NOT NULL,
      PRIMARY KEY (vm_id, kind, name)) STRICT, WITHOUT ROWID;
    INSERT INTO vms VALUES ('vm-1', 'running', 3, 100, '{"id":"vm-1","state":"running","generation":3,"createdAt":100,"timings":{}}');
    INSERT INTO vms VALUES ('vm-2', 'exited', 5, 90,
      '{"id":"vm-2","state":"exited","generation":5,"createdAt":90,"timings":{},"exit":{"cause":"killed","evidence":[],"at":200,"code":null,"signal":"SIGKILL"}}');
    INSERT INTO leases VALUES ('uid', 500003, 'vm-1');
    INSERT INTO lease_cursors VALUES ('uid', 500003);
    INSERT INTO ledger VALUES ('vm-1', 'directory', '/srv/jailer/firecracker/vm-1');
    PRAGMA user_version = 1;`,
};

/** What is in a database of whatever version, once it is opened. */
function openEarlier(version: number): Store {
  const path = join(directory, `${version}.db`);
  fs.rmSync(path, { force: true });
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; ${earlier[version]}`);
  database.close();
  return Store.open(path);
}

describe("a database of an earlier release", () => {
  test("is known here, of whatever version", () => {
    assert.deepEqual(
      Object.keys(earlier).map(Number),
      Array.from({ length: SCHEMA_VERSION - 1 }, (_each, index) => index + 1),
    );
  });

  for (const version of Object.keys(earlier).map(Number)) {
    test(`of version ${version} loses nothing`, () => {
      using store = openEarlier(version);
      const id = toVmId("vm-1");
      assert.deepEqual(
        store.list().map((each) => [each.id, each.state, each.generation, each.incarnation, each.history]),
        [
          ["vm-2", "exited", 5, 1, []],
          ["vm-1", "running", 3, 1, []],
        ],
      );
      assert.deepEqual(store.leases.of(id), [
        { kind: "gid", value: "500003" },
        { kind: "uid", value: "500003" },
      ]);
      assert.deepEqual(store.ledger(), [{ vmId: id, kind: "directory", name: "/srv/jailer/firecracker/vm-1" }]);
      assert.deepEqual(store.listExpired(201, 10), ["vm-2"]);
      assert.equal(store.leases.take("uid", { first: 500_000, count: 10 }, id), 500_004n, "it goes on where it was");
      assert.deepEqual(store.changes.bounds(), { before: 0, newest: 0 });
      assert.equal(store.update(id, (each) => ({ ...each, state: "paused" })).generation, 4);
    });
  }

  test("is migrated as a whole, or not at all", () => {
    const path = join(directory, "broken.db");
    const database = new DatabaseSync(path);
    // Something is in the way of the second version's tables.
    database.exec(`${earlier[1]}; CREATE TABLE changes (x)`);
    database.close();
    assert.throws(
      () => Store.open(path),
      (error) => isWarderError(error) && /changes already exists/.test(error.message),
    );
    const again = new DatabaseSync(path);
    assert.equal(again.prepare("PRAGMA user_version").get()?.user_version, 1);
    assert.equal(again.prepare("SELECT count(*) AS n FROM leases").get()?.n, 1);
    again.close();
  });
});
