import { DatabaseSync, type StatementSync } from "node:sqlite";
import { messageOf, WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { canTransition, hasEnded, type VmStateOrRemoved } from "../vm/state.ts";
import { ChangeLog } from "./changes.ts";
import { enterWal, migrate } from "./schema.ts";

/** Something on the host that is a VM's, written down before it is made and struck out after it is gone. */
export interface LedgerEntry {
  readonly kind: "directory" | "link" | "cgroup" | "process" | "namespace" | "interface";
  /** Path or name; for a process the jail directory that is in its command line. */
  readonly name: string;
}

/** A row of the ledger with its VM. */
export interface LedgerRow extends LedgerEntry {
  readonly vmId: VmId;
}

/** Numbers that a VM has for itself. */
export interface LeaseRange {
  readonly first: number;
  readonly count: number;
}

/** Waiting for another process's transaction; they take well under a millisecond. */
const BUSY_TIMEOUT_MS = 5_000;

/** As many as are started or ended at once; each takes some ten KB. */
const KNOWN_MAX = 64;

/**
 * VM records, leases and the ledger, in SQLite. Several processes may have it open at once.
 *
 * Written with `synchronous = NORMAL` in WAL mode: a transaction survives the death of the process at once and a power
 * cut after the next checkpoint. A power cut also ends every VM, cgroup and namespace, so what it can cost is a record
 * of something that is gone.
 */
export class Store implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Records that were read or written last, by their text: to compare it costs far less than to parse it again. */
  readonly #known = new Map<string, VmRecord>();
  /** Every change of a VM's state. */
  readonly changes: ChangeLog;
  #depth = 0;

  private constructor(database: DatabaseSync) {
    this.#database = database;
    this.changes = new ChangeLog(database);
  }

  /**
   * Opens the database in a directory that exists, and makes or migrates it as needed.
   *
   * @throws {@link WarderError} `store-failed`.
   */
  static open(path: string): Store {
    try {
      const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      enterWal(database, BUSY_TIMEOUT_MS);
      database.exec("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
      migrate(database);
      return new Store(database);
    } catch (cause) {
      throw new WarderError("store-failed", {
        doing: `opening the state database ${path}`,
        why: messageOf(cause),
        cure: "Check the directory's owner and free space; a damaged database can be moved away, and running VMs found again with `warder gc --dry-run`",
        cause,
      });
    }
  }

  /** Runs `work` as one transaction: all of it is there afterwards, or nothing. May be nested. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#run("BEGIN IMMEDIATE");
    this.#depth++;
    try {
      const result = work();
      this.#run("COMMIT");
      return result;
    } catch (error) {
      this.changes.discard();
      if (this.#database.isTransaction) this.#run("ROLLBACK");
      throw error;
    } finally {
      this.#depth--;
      this.changes.publish();
    }
  }

  /**
   * Adds a VM. A record of the same id whose VM has ended gives way.
   *
   * @throws {@link WarderError} `vm-exists`.
   */
  add(record: VmRecord): void {
    this.transaction(() => {
      const existing = this.get(record.id);
      if (existing !== undefined && !hasEnded(existing.state)) throw taken(existing);
      if (existing !== undefined) this.forget(record.id);
      this.#run(
        "INSERT INTO vms (id, state, generation, created_at, record) VALUES (?, ?, ?, ?, ?)",
        record.id,
        record.state,
        record.generation,
        record.createdAt,
        this.#format(record),
      );
      this.#note(record, undefined, record.state);
    });
  }

  /** One VM's record. */
  get(id: VmId): VmRecord | undefined {
    const row = this.#prepare("SELECT record FROM vms WHERE id = ?").get(id);
    if (row === undefined) return undefined;
    const text = String(row.record);
    return this.#known.get(text) ?? this.#remember(text, parseRecord(text));
  }

  /** All records, oldest first. */
  list(): VmRecord[] {
    const rows = this.#prepare("SELECT record FROM vms ORDER BY created_at, id").all();
    return rows.map((row) => parseRecord(String(row.record)));
  }

  /**
   * Changes a record and counts its generation up. `change` sees what is stored now, whoever wrote it, and may refuse by
   * throwing; a record that is unchanged (the same object) is not written.
   *
   * @param reason - Why the state changes, where the exit does not tell.
   * @throws {@link WarderError} `vm-not-found`.
   */
  update(id: VmId, change: (record: VmRecord) => VmRecord, reason?: string): VmRecord {
    return this.transaction(() => {
      const before = this.get(id);
      if (before === undefined) throw notFound(id);
      const changed = change(before);
      if (changed === before) return before;
      const after: VmRecord = { ...changed, generation: before.generation + 1 };
      this.#run(
        "UPDATE vms SET state = ?, generation = ?, record = ? WHERE id = ?",
        after.state,
        after.generation,
        this.#format(after),
        id,
      );
      this.#note(after, before, after.state, reason);
      return after;
    });
  }

  /** Takes a record out, with what leases, ledger rows and idempotency keys it still has. */
  forget(id: VmId, reason?: string): void {
    this.transaction(() => {
      const record = this.get(id);
      if (record === undefined) return;
      this.release(id);
      this.strike(id);
      this.#run("DELETE FROM vms WHERE id = ?", id);
      this.#note({ ...record, generation: record.generation + 1 }, record, "removed", reason);
    });
  }

  /** The VM that was made with an idempotency key, and the request that it was made by. */
  findByKey(key: string): { readonly id: VmId; readonly request: string } | undefined {
    const row = this.#prepare("SELECT vm_id, request FROM idempotency_keys WHERE key = ?").get(key);
    return row === undefined ? undefined : { id: row.vm_id as VmId, request: String(row.request) };
  }

  /** Keeps the key of the call that makes a VM, as long as its record is kept; inside the transaction that adds it. */
  keepKey(key: string, id: VmId, request: string): void {
    this.#run("INSERT INTO idempotency_keys (key, vm_id, request) VALUES (?, ?, ?)", key, id, request);
  }

  /**
   * Leases a free number of a range to a VM: the next one after the last that was given out, so that a number rests as
   * long as possible before it is somebody else's. `undefined` where none is free.
   */
  lease(kind: string, range: LeaseRange, id: VmId): number | undefined {
    return this.transaction(() => {
      const last = Number(this.#prepare("SELECT value FROM lease_cursors WHERE kind = ?").get(kind)?.value ?? -1);
      const start = last >= range.first && last < range.first + range.count ? last + 1 - range.first : 0;
      for (let tried = 0; tried < range.count; tried++) {
        const value = range.first + ((start + tried) % range.count);
        if (!this.claim(kind, value, id)) continue;
        this.#run(
          "INSERT INTO lease_cursors (kind, value) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET value = excluded.value",
          kind,
          value,
        );
        return value;
      }
      return undefined;
    });
  }

  /** Leases one certain number; false where it is somebody else's. */
  claim(kind: string, value: number, id: VmId): boolean {
    const insert = "INSERT INTO leases (kind, value, vm_id) VALUES (?, ?, ?) ON CONFLICT (kind, value) DO NOTHING";
    return Number(this.#run(insert, kind, value, id).changes) === 1;
  }

  /** Gives back all leases of a VM. */
  release(id: VmId): void {
    this.#run("DELETE FROM leases WHERE vm_id = ?", id);
  }

  /** How many numbers of a kind are out. */
  leased(kind: string): number {
    return Number(this.#prepare("SELECT count(*) AS n FROM leases WHERE kind = ?").get(kind)?.n);
  }

  /** Writes down what is about to be made. Repeating is harmless. */
  enter(id: VmId, entries: readonly LedgerEntry[]): void {
    this.transaction(() => {
      for (const { kind, name } of entries) {
        this.#run("INSERT INTO ledger (vm_id, kind, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", id, kind, name);
      }
    });
  }

  /** Strikes out what is gone: certain entries, or all of a VM. */
  strike(id: VmId, entries?: readonly LedgerEntry[]): void {
    if (entries === undefined) {
      this.#run("DELETE FROM ledger WHERE vm_id = ?", id);
      return;
    }
    this.transaction(() => {
      for (const { kind, name } of entries) {
        this.#run("DELETE FROM ledger WHERE vm_id = ? AND kind = ? AND name = ?", id, kind, name);
      }
    });
  }

  /** What is still on the host, of one VM or of all. */
  ledger(id?: VmId): LedgerRow[] {
    const columns = "SELECT vm_id AS vmId, kind, name FROM ledger";
    const rows =
      id === undefined
        ? this.#prepare(`${columns} ORDER BY vm_id, kind, name`).all()
        : this.#prepare(`${columns} WHERE vm_id = ? ORDER BY kind, name`).all(id);
    return rows.map((row) => ({ ...row })) as unknown as LedgerRow[];
  }

  /** Writes a change of state down, and refuses one that there can not be: no record is ever in a state it can not be in. */
  #note(
    after: VmRecord,
    before: VmRecord | undefined,
    state: VmStateOrRemoved,
    reason: string | undefined = after.exit?.cause,
  ): void {
    if (state === before?.state) return;
    if (before !== undefined && !canTransition(before.state, state)) throw illegal(before, state);
    const { id, generation, incarnation } = after;
    const previous = before?.state ?? null;
    try {
      this.changes.append({
        id,
        generation,
        incarnation,
        state,
        previous,
        ...(reason === undefined ? {} : { reason }),
      });
    } catch (cause) {
      throw storeFailure(cause);
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #format(record: VmRecord): string {
    const text = JSON.stringify(record);
    this.#remember(text, record);
    return text;
  }

  #remember(text: string, record: VmRecord): VmRecord {
    this.#known.set(text, record);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
    return record;
  }

  #run(sql: string, ...values: (string | number)[]): { changes: number | bigint } {
    try {
      return this.#prepare(sql).run(...values);
    } catch (cause) {
      throw storeFailure(cause);
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function parseRecord(text: string): VmRecord {
  return JSON.parse(text) as VmRecord;
}

/** The id is a living VM's. */
export function taken(record: VmRecord): WarderError {
  return new WarderError("vm-exists", {
    doing: `making the VM ${record.id}`,
    why: `there is one of this id, which is ${record.state}`,
    cure: `Use another id, or end it with \`warder stop ${record.id}\``,
  });
}

/** A defect: who changes a state asks first whether it may. */
function illegal({ id, state }: VmRecord, to: VmStateOrRemoved): WarderError {
  return new WarderError("internal", {
    doing: `changing the state of ${id}`,
    why: `no way leads from ${state} to ${to}`,
  });
}

/** There is no such VM. */
export function notFound(id: string): WarderError {
  return new WarderError("vm-not-found", {
    doing: `looking up the VM ${id}`,
    why: "no VM has this id",
    cure: "See `warder ps -a`",
  });
}

/** SQLITE_FULL, of https://www.sqlite.org/rescode.html */
const SQLITE_FULL = 13;

function storeFailure(cause: unknown): WarderError {
  const isFull = (cause as { errcode?: number }).errcode === SQLITE_FULL;
  return new WarderError(isFull ? "disk-full" : "store-failed", {
    doing: "writing the state database",
    why: messageOf(cause),
    cure: isFull ? "Free space for the state directory; running VMs are not touched" : "Check the state directory",
    cause,
  });
}
