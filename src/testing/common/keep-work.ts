/** What Node.js writes at its end has to be written by hand where a process ends in another way. */
import { flushCompileCache } from "node:module";
import { takeCoverage } from "node:v8";

/** Called before the process is replaced, and when it has done all that takes long: it may be killed from then on. */
export function keepWork(): void {
  flushCompileCache();
  if (process.env.NODE_V8_COVERAGE !== undefined) takeCoverage();
}
