import { isWarderError, messageOf, WarderError } from "../vm/error.ts";

/** Result codes of https://www.sqlite.org/rescode.html, which come extended: the lowest byte is the code itself. */
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** Whether SQLite says that a database is none, or not whole. */
export function isDamage(error: unknown): boolean {
  return [SQLITE_CORRUPT, SQLITE_NOTADB].includes(codeOf(error));
}

/**
 * Whether something failed for want of room. SQLite says so of the database itself; of the files beside it only that
 * they could not be made or made larger.
 *
 * @param isOutOfRoom - Whether the file system has none, asked for where the code leaves it open.
 */
export function isForWantOfRoom(error: unknown, isOutOfRoom: () => boolean): boolean {
  const code = codeOf(error);
  if (code === SQLITE_FULL) return true;
  return (code === SQLITE_IOERR || code === SQLITE_CANTOPEN) && isOutOfRoom();
}

/** What Warder says of a failure of SQLite's. Errors of Warder pass unchanged. */
export function storeFailure(doing: string, cause: unknown, isFull: boolean): WarderError {
  if (isWarderError(cause)) return cause;
  if (isFull) return diskFull(doing, messageOf(cause), cause);
  if (isDamage(cause)) return damaged(doing, messageOf(cause), cause);
  return new WarderError("store-failed", { doing, why: messageOf(cause), cure: "Check the state directory", cause });
}

/** There is no room for the state. */
export function diskFull(doing: string, why: string, cause?: unknown): WarderError {
  return new WarderError("disk-full", {
    doing,
    why,
    cure: "Free space for the state directory; running VMs are not touched, and can be stopped",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The database is not whole. */
export function damaged(doing: string, why: string, cause?: unknown): WarderError {
  return new WarderError("store-damaged", {
    doing,
    why,
    cure: "Run any command of Warder: it sets the database aside and rebuilds it from what the host shows; running VMs are not touched",
    ...(cause === undefined ? {} : { cause }),
  });
}

function codeOf(error: unknown): number {
  return Number((error as { errcode?: unknown } | null)?.errcode ?? 0) & 0xff;
}
