import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Ballast, type StoreFiles } from "./ballast.ts";
import { damaged, diskFull, isForWantOfRoom, storeFailure } from "./failure.ts";
import { problemsOf } from "./integrity.ts";
import { enterWal, migrate } from "./schema.ts";

/** What SQLite keeps. */
export type Value = string | number | null;

/** One row, by column. */
export type Row = Readonly<Record<string, unknown>>;

/** Waiting for another process's transaction; they take well under a millisecond. */
const BUSY_TIMEOUT_MS = 5_000;

/** Less than this is nothing: SQLite makes files larger by up to 32 KiB at a time. */
const NO_ROOM_BYTES = 64 * 1024;

/**
 * One connection to the state database: statements that are prepared once, transactions that nest, and errors in
 * Warder's words. It follows the database: where a damaged one was replaced meanwhile, by whatever process, the next call
 * goes to the new one.
 */
export class Database implements Disposable {
  readonly #path: string;
  readonly #files: StoreFiles | undefined;
  readonly #ballast: Ballast | undefined;
  readonly #statements = new Map<string, StatementSync>();
  #connection: DatabaseSync;
  /** Which file is open. */
  #file: string | undefined;
  #isInside = false;
  #isBeginning = false;

  private constructor(path: string, files: StoreFiles | undefined) {
    this.#path = path;
    this.#files = files;
    this.#ballast = files === undefined ? undefined : new Ballast(files, path.slice(0, path.lastIndexOf("/")));
    this.#file = this.#whichFile();
    this.#connection = this.#attempt(() => connect(path));
    this.#file ??= this.#whichFile();
    this.#ballast?.ensure();
  }

  /**
   * Opens a database, and makes or migrates it as needed.
   *
   * @param files - Absent for a database without a file. Otherwise room is held back beside it, and it is followed.
   * @throws {@link WarderError} `store-failed`, `store-damaged`, `disk-full`.
   */
  static open(path: string, files?: StoreFiles): Database {
    try {
      return new Database(path, files);
    } catch (cause) {
      const isFull = isForWantOfRoom(cause, () => hasNoRoom(path, files));
      throw storeFailure(`opening the state database ${path}`, cause, isFull);
    }
  }

  /** Whether a transaction is going on. */
  get isInside(): boolean {
    return this.#isInside;
  }

  /**
   * Runs `work` as one transaction: all of it is there afterwards, or nothing. Where there is no room for it, the ballast
   * makes some, and the work is done once more; unless it begins something new.
   */
  transaction<T>(work: () => T): T {
    return this.#isInside ? work() : this.#attempt(() => this.#once(work));
  }

  /** Says that the transaction begins something new, for which the ballast is not meant; refuses where room is scarce. */
  beginSomething(doing: string): void {
    this.#isBeginning = true;
    const ballast = this.#ballast;
    if (ballast?.isScarce === true) throw diskFull(doing, `the state directory has ${ballast.freeBytes} bytes left`);
  }

  run(sql: string, ...values: Value[]): number {
    return this.#translated("writing", () => Number(this.#prepare(sql).run(...values).changes));
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.#translated("reading", () => this.#prepare(sql).get(...values));
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.#translated("reading", () => this.#prepare(sql).all(...values));
  }

  /** Holds room back again, where it was given up and there is enough by now. */
  refillBallast(): void {
    this.#ballast?.ensure();
  }

  close(): void {
    this.#statements.clear();
    if (this.#connection.isOpen) this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #once<T>(work: () => T): T {
    this.run("BEGIN IMMEDIATE");
    this.#isInside = true;
    this.#isBeginning = false;
    try {
      const result = work();
      this.run("COMMIT");
      return result;
    } catch (error) {
      if (this.#connection.isTransaction) this.#connection.exec("ROLLBACK");
      throw error;
    } finally {
      this.#isInside = false;
    }
  }

  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (this.#isBeginning || !this.#isFull(error) || this.#ballast?.release() !== true) throw error;
      return work();
    }
  }

  #isFull(error: unknown): boolean {
    const cause = (error as { code?: unknown }).code === "disk-full" ? (error as { cause?: unknown }).cause : error;
    return isForWantOfRoom(cause, () => hasNoRoom(this.#path, this.#files));
  }

  #translated<T>(how: "reading" | "writing", work: () => T): T {
    try {
      if (!this.#isInside) this.#follow();
      return work();
    } catch (cause) {
      throw storeFailure(`${how} the state database ${this.#path}`, cause, this.#isFull(cause));
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #follow(): void {
    const file = this.#whichFile();
    if (file === undefined || file === this.#file) return;
    this.#statements.clear();
    const replaced = this.#connection;
    this.#connection = connect(this.#path);
    this.#file = file;
    try {
      replaced.close();
    } catch {
      // What is wrong with it is why it was replaced.
    }
  }

  #whichFile(): string | undefined {
    const facts = this.#files?.inspectFollowing(this.#path);
    return facts === undefined ? undefined : `${facts.device}:${facts.inode}`;
  }
}

function connect(path: string): DatabaseSync {
  const connection = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    enterWal(connection, BUSY_TIMEOUT_MS);
    connection.exec("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
    refuseDamaged(connection, path);
    migrate(connection);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Half a millisecond for each hundred VMs. What it does not look at, indexes, is in {@link problemsOf}. */
function refuseDamaged(connection: DatabaseSync, path: string): void {
  const found = connection.prepare("PRAGMA quick_check(1)").get()?.quick_check;
  if (found === "ok") return;
  throw damaged(`opening the state database ${path}`, problemsOf(connection).join("; ") || String(found));
}

function hasNoRoom(path: string, files: StoreFiles | undefined): boolean {
  return files !== undefined && files.freeBytes(path.slice(0, path.lastIndexOf("/"))) < NO_ROOM_BYTES;
}
