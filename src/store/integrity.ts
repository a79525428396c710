import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../vm/error.ts";

/** Enough to see what kind of damage it is. */
const MOST_PROBLEMS = 20;

/** Everything that is wrong with a state database; nothing where it is whole. Changes nothing. */
export function integrityProblems(path: string): string[] {
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    return problemsOf(database);
  } catch (error) {
    return [messageOf(error)];
  }
}

/** Everything that is wrong with an open database. */
export function problemsOf(database: DatabaseSync): string[] {
  const rows = database.prepare(`PRAGMA integrity_check(${MOST_PROBLEMS})`).all();
  return rows.map((row) => String(row.integrity_check)).filter((text) => text !== "ok");
}
