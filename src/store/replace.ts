import type { StoreFiles } from "./ballast.ts";

/** Beside a database in WAL mode lie its log and the index of that. */
const PARTS = ["", "-wal", "-shm"];

/**
 * Puts a new database in the place of a damaged one, which is set aside under a name of its own, whole: SQLite's tools may
 * still get something out of it.
 *
 * The name becomes a link to the new one. Processes that have the old one open go on with the old files until they look
 * (see `Database`); none of them can touch the new one's log, which SQLite would find by name.
 *
 * @param fresh - File name of the new one, in the same directory, closed.
 * @returns Where the damaged one is now.
 */
export function replaceDatabase(files: StoreFiles, path: string, fresh: string, stamp: string): string {
  const old = files.resolve(path);
  const aside = `${path}.damaged-${stamp}`;
  for (const part of PARTS) {
    if (files.inspect(`${old}${part}`) !== undefined) files.hardLink(`${old}${part}`, `${aside}${part}`);
  }
  const link = `${path}.new`;
  files.removeFile(link);
  files.symbolicLink(fresh, link);
  files.rename(link, path);
  for (const part of PARTS) {
    if (`${old}${part}` !== path) files.removeFile(`${old}${part}`);
  }
  return aside;
}
