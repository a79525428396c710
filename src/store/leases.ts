import type { VmId } from "../vm/id.ts";
import type { Database } from "./database.ts";

/**
 * What VMs have for themselves: user and group ids, addresses in the host's networks (as the numbers they are), what their
 * network interfaces are named after, context ids of vsock, host CPUs (by their numbers), and ports of the host
 * (`tcp:8080`).
 */
export const leaseKinds = ["uid", "gid", "address4", "address6", "interface", "vsock-cid", "cpu", "host-port"] as const;

/** A kind of things that VMs have for themselves. */
export type LeaseKind = (typeof leaseKinds)[number];

/** A number of any size, or a name. */
export type LeaseValue = bigint | number | string;

/** Numbers to choose from. */
export interface LeaseRange {
  readonly first: bigint | number;
  readonly count: bigint | number;
}

/** Something that a VM has. */
export interface Lease {
  readonly kind: LeaseKind;
  /** A number in decimal digits, or a name. */
  readonly value: string;
}

/** Something that a VM had, and that nobody gets before it is known that nothing of that VM is left. */
export interface RestingLease {
  readonly value: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Who had it last; absent where that is not known. */
  readonly lastVm?: string;
}

/** Files, processes and interfaces keep the id of a VM that is gone: whoever gets the id next would own them. */
const RESTING = ["uid", "gid"] satisfies LeaseKind[];

/**
 * Leases, each of which one VM has at most: the database's own rule, not a lock's. Ids of users and groups rest when
 * they are given back, until {@link lift} says that nothing of them is left.
 */
export class Leases {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Leases a free number of a range: the next one after the last that was given out, so that a number is unused as long
   * as possible before it is somebody else's. `undefined` where none is free.
   */
  take(kind: LeaseKind, range: LeaseRange, id: VmId): bigint | undefined {
    return this.#database.transaction(() => {
      const first = BigInt(range.first);
      const count = BigInt(range.count);
      const start = this.#startOf(kind, first, count);
      // With n numbers out, the first n + 1 of any range hold a free one.
      let tries = 1n;
      for (let tried = 0n; tried < tries && tried < count; tried++) {
        const value = first + ((start + tried) % count);
        if (this.#insert(kind, String(value), id)) return this.#advance(kind, value);
        if (tried === 0n) tries += BigInt(this.#countRows(kind));
      }
      return undefined;
    });
  }

  /** Leases one certain value, also once more; false where it is somebody else's, or rests. */
  claim(kind: LeaseKind, value: LeaseValue, id: VmId): boolean {
    return this.#insert(kind, String(value), id) || this.holderOf(kind, value) === id;
  }

  /** Who has a value. */
  holderOf(kind: LeaseKind, value: LeaseValue): VmId | undefined {
    const row = this.#database.get("SELECT vm_id FROM leases WHERE kind = ? AND value = ?", kind, String(value));
    return (row?.vm_id ?? undefined) as VmId | undefined;
  }

  /** What a VM has. */
  of(id: VmId): Lease[] {
    return this.#database
      .all("SELECT kind, value FROM leases WHERE vm_id = ? ORDER BY kind, value", id)
      .map(({ kind, value }) => ({ kind, value }) as Lease);
  }

  /** How many of a kind VMs have. */
  count(kind: LeaseKind): number {
    const row = this.#database.get("SELECT count(*) AS n FROM leases WHERE kind = ? AND vm_id IS NOT NULL", kind);
    return Number(row?.n);
  }

  /** Takes everything back that a VM has. */
  release(id: VmId): void {
    this.#database.transaction(() => {
      this.#database.run(
        `UPDATE leases SET vm_id = NULL, last_vm = vm_id, resting_since = CAST(unixepoch('subsec') * 1000 AS INTEGER)
         WHERE vm_id = ? AND kind IN (${RESTING.map((kind) => `'${kind}'`).join(", ")})`,
        id,
      );
      this.#database.run("DELETE FROM leases WHERE vm_id = ?", id);
    });
  }

  /** What rests, the longest resting first. */
  resting(kind: LeaseKind): RestingLease[] {
    const rows = this.#database.all(
      "SELECT value, resting_since, last_vm FROM leases WHERE kind = ? AND vm_id IS NULL ORDER BY resting_since, value",
      kind,
    );
    return rows.map(({ value, resting_since, last_vm }) => ({
      value: String(value),
      since: Number(resting_since),
      ...(last_vm === null ? {} : { lastVm: String(last_vm) }),
    }));
  }

  /** Has values rest that nobody has: they were found in use by something that is not known. */
  rest(kind: LeaseKind, values: readonly LeaseValue[]): void {
    this.#database.transaction(() => {
      for (const value of values) {
        this.#database.run(
          `INSERT INTO leases (kind, value, resting_since) VALUES (?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER))
           ON CONFLICT (kind, value) DO NOTHING`,
          kind,
          String(value),
        );
      }
    });
  }

  /** Ends the rest of values: nothing is left of who had them. */
  lift(kind: LeaseKind, values: readonly LeaseValue[]): void {
    this.#database.transaction(() => {
      for (const value of values) {
        this.#database.run("DELETE FROM leases WHERE kind = ? AND value = ? AND vm_id IS NULL", kind, String(value));
      }
    });
  }

  #startOf(kind: LeaseKind, first: bigint, count: bigint): bigint {
    const row = this.#database.get("SELECT value FROM lease_cursors WHERE kind = ?", kind);
    const last = row === undefined ? first - 1n : BigInt(String(row.value));
    return last >= first && last < first + count ? last + 1n - first : 0n;
  }

  #advance(kind: LeaseKind, value: bigint): bigint {
    this.#database.run(
      "INSERT INTO lease_cursors (kind, value) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET value = excluded.value",
      kind,
      String(value),
    );
    return value;
  }

  #insert(kind: LeaseKind, value: string, id: VmId): boolean {
    const insert = "INSERT INTO leases (kind, value, vm_id) VALUES (?, ?, ?) ON CONFLICT (kind, value) DO NOTHING";
    return this.#database.run(insert, kind, value, id) === 1;
  }

  #countRows(kind: LeaseKind): number {
    return Number(this.#database.get("SELECT count(*) AS n FROM leases WHERE kind = ?", kind)?.n);
  }
}
