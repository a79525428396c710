import * as fs from "node:fs";
import type { ProcessExit } from "../../vm/process.ts";
import type { RecordedExit } from "../host.ts";
import { toExit } from "./spawner.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** The largest pid that Linux gives out, 2^22, a blank, `255` and a newline. */
const LONGEST_BYTES = 12;

/** What is there that is not what the shell of `spawner.ts` writes is as good as nothing. */
export function readExitFile(path: string, pid: number): RecordedExit | undefined {
  const descriptor = openExisting(path);
  if (descriptor === undefined) return undefined;
  try {
    const facts = fs.fstatSync(descriptor);
    if (!facts.isFile() || facts.uid !== process.geteuid?.() || facts.size > LONGEST_BYTES) return undefined;
    const ended = parseExit(fs.readFileSync(descriptor, "latin1"));
    return ended?.pid === pid ? { ...ended.exit, at: Math.round(facts.mtimeMs) } : undefined;
  } finally {
    fs.closeSync(descriptor);
  }
}

/** A pid and a shell's `$?`; `undefined` where the text is none, such as one that is only half there. */
export function parseExit(text: string): { readonly pid: number; readonly exit: ProcessExit } | undefined {
  const [, pid, status] = /^([1-9]\d{0,6}) (0|[1-9]\d{0,2})\n$/.exec(text) ?? [];
  if (pid === undefined || status === undefined || Number(status) > 255) return undefined;
  return { pid: Number(pid), exit: toExit(Number(status)) };
}

function openExisting(path: string): number | undefined {
  try {
    return fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"].includes(code)) return undefined;
    throw error;
  }
}
