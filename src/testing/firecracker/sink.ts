/** Where log lines and metrics go: a file or a FIFO that is never waited for. */
import { constants, openSync, writeSync } from "node:fs";
import { toOsError } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";

/** Opens the target of `--log-path` or `--metrics-path`; before 1.14 it must be there. */
export function openSink(path: string, release: Release): number {
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;
  // Opened for both, a FIFO needs no reader.
  if (!release.createsLogFiles) return openSync(path, O_RDWR | O_NONBLOCK);
  const access = release.fifoNeedsReader ? O_WRONLY : O_RDWR;
  return openSync(path, access | O_NONBLOCK | O_CREAT | O_APPEND, 0o644);
}

/** Writes a whole line, or drops it: the reader of a FIFO may be slow or gone. */
export function writeLine(file: number, line: string): boolean {
  try {
    return writeSync(file, line) === Buffer.byteLength(line);
  } catch (error) {
    toOsError(error);
    return false;
  }
}
