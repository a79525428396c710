import { existsSync } from "node:fs";
import { join } from "node:path";

/** Path of a system program: the fakes run with an empty environment, so there is no `PATH` to search. */
export function toolPath(name: string): string {
  const found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map((directory) => join(directory, name)).find(existsSync);
  if (found === undefined) throw new Error(`The fake jailer needs the program ${name}`);
  return found;
}
