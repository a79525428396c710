import { DatabaseSync } from "node:sqlite";
import { storeFailure } from "./failure.ts";

/** SQLITE_BUSY, of https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

/**
 * A lock that one process has at a time, and that the kernel takes back when it ends, however it does. Node has no such
 * thing, and SQLite has: an exclusive transaction on a database with nothing in it.
 *
 * Nothing else may open the file: a process loses its locks on a file when it closes any descriptor of it (fcntl(2)).
 */
export class ExclusiveLock implements Disposable {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Takes the lock, waiting for it at most so long; `undefined` where another process, or another part of this one, has
   * it.
   *
   * @throws {@link WarderError} `store-failed`, `disk-full`.
   */
  static take(path: string, waitMs = 0): ExclusiveLock | undefined {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(path, { timeout: waitMs });
      // Nothing is ever written, so a full disk is no hindrance.
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      return new ExclusiveLock(database);
    } catch (cause) {
      database?.close();
      if ((cause as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
      throw storeFailure(`taking the lock ${path}`, cause, false);
    }
  }

  /** Gives it back. Idempotent. */
  release(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
