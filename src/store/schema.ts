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
 * Brings a database to {@link SCHEMA_VERSION}.
 *
 * @throws RangeError where the database is of a newer Warder.
 */
export function migrate(database: DatabaseSync): void {
  const found = Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
  if (found > SCHEMA_VERSION) {
    throw new RangeError(`it is of version ${found}, and this Warder knows versions up to ${SCHEMA_VERSION}`);
  }
  for (let version = found; version < SCHEMA_VERSION; version++) {
    database.exec(`BEGIN IMMEDIATE; ${migrations[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
  }
}
