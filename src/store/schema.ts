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
    // Asked again, as another process may have been faster while this one waited for the lock.
    const version = versionOf(database);
    if (version < SCHEMA_VERSION) database.exec(`${migrations[version]}; PRAGMA user_version = ${version + 1}`);
    database.exec("COMMIT");
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
