import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { canTransition, hasEnded, type VmStateOrRemoved } from "../vm/state.ts";
import type { StoreFiles } from "./ballast.ts";
import { ChangeLog } from "./changes.ts";
import { Database } from "./database.ts";
import type { VmDescription } from "./description.ts";
import { type Lease, Leases } from "./leases.ts";
import type { LedgerEntry, LedgerRow } from "./ledger.ts";

/** Told of each record that this process has changed, once that is committed: without a record, it was taken out. */
export type RecordListener = (id: VmId, record: VmRecord | undefined) => void;

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
  readonly #database: Database;
  /** Records that were read or written last, with their text: to compare it costs far less than to parse it again. */
  readonly #known = new Map<VmId, { readonly text: string; readonly record: VmRecord }>();
  readonly #listeners = new Set<RecordListener>();
  readonly #touched = new Map<VmId, VmRecord | undefined>();
  /** Every change of a VM's state. */
  readonly changes: ChangeLog;
  /** What VMs have for themselves. */
  readonly leases: Leases;

  private constructor(database: Database) {
    this.#database = database;
    this.changes = new ChangeLog(database);
    this.leases = new Leases(database);
  }

  /**
   * Opens the database in a directory that exists, and makes or migrates it as needed.
   *
   * @param files - The host's, for a database in a file: room is held back beside it, and where another process replaces
   * it, as one that is damaged, this one goes on with the new one.
   * @throws {@link WarderError} `store-failed`, `store-damaged`, `disk-full`.
   */
  static open(path: string, files?: StoreFiles): Store {
    return new Store(Database.open(path, files));
  }

  /**
   * Runs `work` as one transaction: all of it is there afterwards, or nothing. May be nested. Done once more where there
   * was no room for it at first, so `work` changes nothing else.
   */
  transaction<T>(work: () => T): T {
    if (this.#database.isInside) return work();
    try {
      const result = this.#database.transaction(() => {
        this.#discard();
        return work();
      });
      this.#publish();
      return result;
    } catch (error) {
      this.#discard();
      throw error;
    }
  }

  /** Calls `listener` with each record that this process changes; the returned function ends that. */
  subscribe(listener: RecordListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Adds a VM. A record of the same id whose VM has ended gives way.
   *
   * @throws {@link WarderError} `vm-exists`, `disk-full`.
   */
  add(record: VmRecord): void {
    this.transaction(() => {
      this.#database.beginSomething(`making the VM ${record.id}`);
      const existing = this.get(record.id);
      if (existing !== undefined && !hasEnded(existing.state)) throw taken(existing);
      if (existing !== undefined) this.forget(record.id);
      this.#insert(record);
    });
  }

  /** One VM's record. */
  get(id: VmId): VmRecord | undefined {
    const row = this.#database.get("SELECT record FROM vms WHERE id = ?", id);
    if (row === undefined) return undefined;
    const text = String(row.record);
    const known = this.#known.get(id);
    return known?.text === text ? known.record : this.#remember(text, parseRecord(text));
  }

  /** All records, oldest first. */
  list(): VmRecord[] {
    const rows = this.#database.all("SELECT record FROM vms ORDER BY created_at, id");
    return rows.map((row) => parseRecord(String(row.record)));
  }

  /** VMs that ended before a time, and the oldest of those that are more than `most`. */
  listExpired(before: number, most: number): VmId[] {
    const rows = this.#database.all(
      `SELECT id FROM (SELECT id, ended_at, row_number() OVER (ORDER BY ended_at DESC, id) AS place
                       FROM vms WHERE ended_at IS NOT NULL)
       WHERE ended_at < ? OR place > ? ORDER BY ended_at, id`,
      before,
      most,
    );
    return rows.map(({ id }) => id as VmId);
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
      this.#database.run(
        "UPDATE vms SET state = ?, generation = ?, ended_at = ?, record = ? WHERE id = ?",
        after.state,
        after.generation,
        endOf(after),
        this.#format(after),
        id,
      );
      this.#note(after, before, after.state, reason);
      this.#touched.set(id, after);
      return after;
    });
  }

  /** Takes a record out, with everything that is kept of its VM. */
  forget(id: VmId, reason?: string): void {
    this.transaction(() => {
      const record = this.get(id);
      if (record === undefined) return;
      this.leases.release(id);
      this.strike(id);
      this.#database.run("DELETE FROM vms WHERE id = ?", id);
      this.#note({ ...record, generation: record.generation + 1 }, record, "removed", reason);
      this.#touched.set(id, undefined);
    });
  }

  /** Keeps something about a VM that is too large for its record, as long as its record is kept. Plain data. */
  keepDocument(id: VmId, name: string, content: unknown): void {
    this.#database.run(
      `INSERT INTO documents (vm_id, name, text) VALUES (?, ?, ?)
       ON CONFLICT (vm_id, name) DO UPDATE SET text = excluded.text`,
      id,
      name,
      JSON.stringify(content),
    );
  }

  /** Everything that is known of a VM. */
  describe(id: VmId): VmDescription | undefined {
    return this.transaction(() => {
      const record = this.get(id);
      if (record === undefined) return undefined;
      const rows = this.#database.all("SELECT name, text FROM documents WHERE vm_id = ?", id);
      const documents = Object.fromEntries(rows.map(({ name, text }) => [name, JSON.parse(String(text))]));
      const ledger = this.ledger(id).map(({ kind, name }) => ({ kind, name }));
      return { record, leases: this.leases.of(id), ledger, documents };
    });
  }

  /**
   * Writes a VM down as it was described. For a store that is made anew.
   *
   * @returns Leases that another VM has already: one of the two descriptions is out of date.
   */
  restore({ record, leases, ledger, documents }: VmDescription): Lease[] {
    return this.transaction(() => {
      this.#insert(record);
      this.enter(record.id, ledger);
      for (const [name, content] of Object.entries(documents)) this.keepDocument(record.id, name, content);
      return leases.filter(({ kind, value }) => !this.leases.claim(kind, value, record.id));
    });
  }

  /** What was kept of a VM under a name. */
  document(id: VmId, name: string): unknown {
    const row = this.#database.get("SELECT text FROM documents WHERE vm_id = ? AND name = ?", id, name);
    return row === undefined ? undefined : JSON.parse(String(row.text));
  }

  /** The VM that was made with an idempotency key, and the request that it was made by. */
  findByKey(key: string): { readonly id: VmId; readonly request: string } | undefined {
    const row = this.#database.get("SELECT vm_id, request FROM idempotency_keys WHERE key = ?", key);
    return row === undefined ? undefined : { id: row.vm_id as VmId, request: String(row.request) };
  }

  /** Keeps the key of the call that makes a VM, as long as its record is kept; inside the transaction that adds it. */
  keepKey(key: string, id: VmId, request: string): void {
    this.#database.run("INSERT INTO idempotency_keys (key, vm_id, request) VALUES (?, ?, ?)", key, id, request);
  }

  /** Writes down what is about to be made. Repeating is harmless. */
  enter(id: VmId, entries: readonly LedgerEntry[]): void {
    this.transaction(() => {
      for (const { kind, name } of entries) {
        this.#database.run(
          "INSERT INTO ledger (vm_id, kind, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
          id,
          kind,
          name,
        );
      }
    });
  }

  /** Strikes out what is gone: certain entries, or all of a VM. */
  strike(id: VmId, entries?: readonly LedgerEntry[]): void {
    if (entries === undefined) {
      this.#database.run("DELETE FROM ledger WHERE vm_id = ?", id);
      return;
    }
    this.transaction(() => {
      for (const { kind, name } of entries) {
        this.#database.run("DELETE FROM ledger WHERE vm_id = ? AND kind = ? AND name = ?", id, kind, name);
      }
    });
  }

  /** What is still on the host, of one VM or of all. */
  ledger(id?: VmId): LedgerRow[] {
    const columns = "SELECT vm_id AS vmId, kind, name FROM ledger";
    const rows =
      id === undefined
        ? this.#database.all(`${columns} ORDER BY vm_id, kind, name`)
        : this.#database.all(`${columns} WHERE vm_id = ? ORDER BY kind, name`, id);
    return rows.map((row) => ({ ...row })) as unknown as LedgerRow[];
  }

  /** Holds room back again for the time when the disk is full, where it was needed and there is enough by now. */
  refillBallast(): void {
    this.#database.refillBallast();
  }

  close(): void {
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
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
    const why = reason === undefined ? {} : { reason };
    this.changes.append({ id, generation, incarnation, state, previous, ...why });
  }

  #insert(record: VmRecord): void {
    this.#database.run(
      "INSERT INTO vms (id, state, generation, created_at, ended_at, record) VALUES (?, ?, ?, ?, ?, ?)",
      record.id,
      record.state,
      record.generation,
      record.createdAt,
      endOf(record),
      this.#format(record),
    );
    this.#note(record, undefined, record.state);
    this.#touched.set(record.id, record);
  }

  #publish(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    this.changes.publish();
    for (const [id, record] of touched) for (const listener of this.#listeners) listener(id, record);
  }

  #discard(): void {
    this.changes.discard();
    this.#touched.clear();
  }

  #format(record: VmRecord): string {
    const text = JSON.stringify(record);
    this.#remember(text, record);
    return text;
  }

  #remember(text: string, record: VmRecord): VmRecord {
    // Taken out first: it is the newest then.
    this.#known.delete(record.id);
    this.#known.set(record.id, { text, record });
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
    return record;
  }
}

/** When a VM ended that nothing becomes of any more; `null` for one that may run. */
function endOf({ state, exit }: VmRecord): number | null {
  return hasEnded(state) ? (exit?.at ?? null) : null;
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
