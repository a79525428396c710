import type { DatabaseSync } from "node:sqlite";

/**
 * Each entry brings the database from the version of its index to the next one; `user_version` counts them. Entries are
 * only ever added.
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE vms (
    id          TEXT PRIMARY KEY,
    state       TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    record      TEXT NOT NULL
  ) STRICT;
  CREATE INDEX vms_by_creation ON vms (created_at, id);

  CREATE TABLE leases (
    kind   TEXT NOT NULL,
    value  INTEGER NOT NULL,
    vm_id  TEXT NOT NULL REFERENCES vms (id),
    PRIMARY KEY (kind, value)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX leases_by_vm ON leases (vm_id);

  CREATE TABLE lease_cursors (
    kind   TEXT PRIMARY KEY,
    value  INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE ledger (
    vm_id  TEXT NOT NULL REFERENCES vms (id),
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    PRIMARY KEY (vm_id, kind, name)
  ) STRICT, WITHOUT ROWID;
  `,
  // Leases of anything that has a name or a number of any size, which may rest before they are given out again; when a
  // VM ended; what is too large for its record; runs of VMs, what became of them, and which calls made them.
  `
  UPDATE vms SET record = json_set(record, '$.incarnation', 1, '$.history', json('[]'), '$.spec.restart',
    json('{"policy":"never","backoffMs":1000,"maxBackoffMs":60000,"resetAfterMs":300000}')) WHERE json_valid(record);

  ALTER TABLE vms ADD COLUMN ended_at INTEGER;
  UPDATE vms SET ended_at = json_extract(record, '$.exit.at') WHERE json_valid(record);
  CREATE INDEX vms_by_end ON vms (ended_at) WHERE ended_at IS NOT NULL;

  CREATE TABLE named_leases (
    kind           TEXT NOT NULL,
    value          TEXT NOT NULL,
    vm_id          TEXT REFERENCES vms (id),
    resting_since  INTEGER,
    last_vm        TEXT,
    PRIMARY KEY (kind, value),
    CHECK ((vm_id IS NULL) <> (resting_since IS NULL))
  ) STRICT, WITHOUT ROWID;
  INSERT INTO named_leases (kind, value, vm_id) SELECT kind, CAST(value AS TEXT), vm_id FROM leases;
  INSERT INTO named_leases (kind, value, vm_id) SELECT 'gid', value, vm_id FROM named_leases WHERE kind = 'uid';
  DROP TABLE leases;
  ALTER TABLE named_leases RENAME TO leases;
  CREATE INDEX leases_by_vm ON leases (vm_id) WHERE vm_id IS NOT NULL;

  CREATE TABLE named_cursors (
    kind   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO named_cursors SELECT kind, CAST(value AS TEXT) FROM lease_cursors;
  DROP TABLE lease_cursors;
  ALTER TABLE named_cursors RENAME TO lease_cursors;

  CREATE TABLE documents (
    vm_id  TEXT NOT NULL REFERENCES vms (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    text   TEXT NOT NULL,
    PRIMARY KEY (vm_id, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE changes (
    sequence     INTEGER PRIMARY KEY,
    vm_id        TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    incarnation  INTEGER NOT NULL,
    state        TEXT NOT NULL,
    previous     TEXT,
    at           INTEGER NOT NULL,
    reason       TEXT
  ) STRICT;
  CREATE INDEX changes_by_vm ON changes (vm_id, sequence);

  CREATE TABLE idempotency_keys (
    key      TEXT PRIMARY KEY,
    vm_id    TEXT NOT NULL REFERENCES vms (id) ON DELETE CASCADE,
    request  TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_keys_by_vm ON idempotency_keys (vm_id);
  `,
];

/** The version that this code reads and writes. */
export const SCHEMA_VERSION = migrations.length;

/**
 * Brings a database to {@link SCHEMA_VERSION}. Several processes may do so at once: who comes second finds it done.
 *
 * @throws RangeError where the database is of a newer Warder.
 */
export function migrate(database: DatabaseSync): void {
  while (versionOf(database) < SCHEMA_VERSION) {
    database.exec("BEGIN IMMEDIATE");
    try {
      // Asked again, as another process may have been faster while this one waited for the lock.
      const version = versionOf(database);
      if (version < SCHEMA_VERSION) database.exec(`${migrations[version]}; PRAGMA user_version = ${version + 1}`);
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }
}

function versionOf(database: DatabaseSync): number {
  const found = Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
  if (found <= SCHEMA_VERSION) return found;
  throw new RangeError(`it is of version ${found}, and this Warder knows versions up to ${SCHEMA_VERSION}`);
}

/** SQLITE_BUSY, of https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const RETRY_MS = 5;

/**
 * Puts a database into WAL mode. SQLite does not wait for another process that does the same to a new database, whatever
 * its timeout is: so this does.
 */
export function enterWal(database: DatabaseSync, timeoutMs: number): void {
  for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
    try {
      database.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== SQLITE_BUSY || waitedMs >= timeoutMs) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
