import type { VmChange } from "../vm/change.ts";
import type { VmId } from "../vm/id.ts";
import type { Database, Row } from "./database.ts";

/** So many of the newest changes are kept. */
export const CHANGES_KEPT = 10_000;

/** Older ones go in batches of this, so that most changes cost one insertion. */
const TRIM_EVERY = 100;

/** What a change is before it has a number. */
export type NewChange = Omit<VmChange, "sequence" | "at">;

/** Where the kept changes begin and end. Equal: there are none. */
export interface ChangeBounds {
  /** The newest change that is not kept any more; 0 where all are. */
  readonly before: number;
  /** The newest change; 0 where there was none yet. */
  readonly newest: number;
}

/** Which changes to read. */
export interface ChangeQuery {
  /** Those with a higher sequence. */
  readonly after: number;
  readonly limit: number;
  /** Of one VM only. */
  readonly id?: VmId;
}

/**
 * The changes of VMs' states, numbered in the order in which they were committed, the newest {@link CHANGES_KEPT} of
 * them. Written in the transaction that changes the record, so neither is there without the other.
 */
export class ChangeLog {
  readonly #database: Database;
  readonly #listeners = new Set<(change: VmChange) => void>();
  #uncommitted: VmChange[] = [];
  #version: unknown;

  constructor(database: Database) {
    this.#database = database;
    this.#version = this.#readVersion();
  }

  /** @internal Writes a change down; inside the transaction that makes it. */
  append(change: NewChange): void {
    const { id, generation, incarnation, state, previous, reason } = change;
    const row = this.#database.get(
      `INSERT INTO changes (vm_id, generation, incarnation, state, previous, at, reason)
       VALUES (?, ?, ?, ?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?) RETURNING sequence, at`,
      id,
      generation,
      incarnation,
      state,
      previous,
      reason ?? null,
    );
    const sequence = Number(row?.sequence);
    this.#uncommitted.push({ ...change, sequence, at: Number(row?.at) });
    if (sequence % TRIM_EVERY !== 0) return;
    this.#database.run("DELETE FROM changes WHERE sequence <= ?", sequence - CHANGES_KEPT);
  }

  /** @internal The transaction is committed: whoever listens is told. */
  publish(): void {
    const changes = this.#uncommitted;
    this.#uncommitted = [];
    for (const change of changes) for (const listener of this.#listeners) listener(change);
  }

  /** @internal The transaction was taken back. */
  discard(): void {
    this.#uncommitted = [];
  }

  /** Calls `listener` with each change that this process makes, once it is committed; the returned function ends that. */
  subscribe(listener: (change: VmChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether another process has written to the database since this was asked last. Costs microseconds. */
  isChangedElsewhere(): boolean {
    const version = this.#readVersion();
    const isChanged = version !== this.#version;
    this.#version = version;
    return isChanged;
  }

  /** What is kept. */
  bounds(): ChangeBounds {
    const row = this.#database.get(
      "SELECT (SELECT min(sequence) FROM changes) AS oldest, (SELECT max(sequence) FROM changes) AS newest",
    );
    const newest = Number(row?.newest ?? 0);
    return { before: row?.oldest == null ? newest : Number(row.oldest) - 1, newest };
  }

  /** Changes in their order. */
  read({ after, limit, id }: ChangeQuery): VmChange[] {
    const select = "SELECT * FROM changes WHERE sequence > ?";
    const rows =
      id === undefined
        ? this.#database.all(`${select} ORDER BY sequence LIMIT ?`, after, limit)
        : this.#database.all(`${select} AND vm_id = ? ORDER BY sequence LIMIT ?`, after, id, limit);
    return rows.map(toChange);
  }

  /** Whether the removal of a VM is among the changes that are kept. */
  hasRemoved(id: VmId): boolean {
    const select = "SELECT 1 FROM changes WHERE vm_id = ? AND state = 'removed' LIMIT 1";
    return this.#database.get(select, id) !== undefined;
  }

  #readVersion(): unknown {
    return this.#database.get("PRAGMA data_version")?.data_version;
  }
}

function toChange(row: Row): VmChange {
  const { sequence, vm_id: id, generation, incarnation, state, previous, at, reason } = row;
  return {
    sequence,
    id,
    generation,
    incarnation,
    state,
    previous,
    at,
    ...(reason === null ? {} : { reason }),
  } as VmChange;
}
