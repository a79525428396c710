import { once } from "node:events";
import sonicBoom from "sonic-boom";
import { WarderError } from "../../vm/error.ts";

/** Where a log goes: a standard stream, or a file that is appended to. */
export type LogTarget = "stdout" | "stderr" | { readonly file: string };

/** Most text that waits to be written, in bytes; a line that comes beyond that is dropped and counted. */
const BACKLOG_BYTES = 4 * 1024 * 1024;
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * The writing end of a log. Writing never waits and never throws: a full disk or a reader that is gone costs lines, not
 * the service.
 */
export interface LogDestination {
  write(line: string): void;
  /** Lines that found the backlog full. */
  readonly droppedLines: number;
  /** Why writing, or opening the file again, failed last. */
  readonly problem: unknown;
  /** Opens the file again, after its rotation; goes on with the old one where that fails. Nothing for a stream. */
  reopen(): void;
  /** Writes what waits, as far as that can be done in a second, and closes the file. */
  close(): Promise<void>;
}

/**
 * Opens the writing end. A file is made where there is none, for its owner and group (0640).
 *
 * @throws {@link WarderError} `invalid-config`, or what the system says, where the file can not be opened.
 */
export async function openLogDestination(target: LogTarget, backlogBytes = BACKLOG_BYTES): Promise<LogDestination> {
  const stream = new sonicBoom.SonicBoom({
    dest: typeof target === "object" ? target.file : target === "stdout" ? 1 : 2,
    sync: false,
    maxLength: backlogBytes,
    append: true,
    mode: 0o640,
  });
  await opened(stream, target);
  return destinationOf(stream, typeof target === "object");
}

async function opened(stream: sonicBoom.SonicBoom, target: LogTarget): Promise<void> {
  try {
    await once(stream, "ready");
  } catch (cause) {
    const error = WarderError.from(cause, "invalid-config", `opening the log ${JSON.stringify(target)}`);
    throw new WarderError(error.code, {
      doing: error.doing,
      why: error.why,
      cure: "Name a file in a directory that is there and can be written to, or stdout or stderr",
      cause,
    });
  }
}

function destinationOf(stream: sonicBoom.SonicBoom, isFile: boolean): LogDestination {
  let droppedLines = 0;
  let problem: unknown;
  let isClosed = false;
  let reopened: Promise<unknown> = Promise.resolve();
  stream.on("drop", () => void droppedLines++);
  stream.on("error", (error) => {
    problem = error;
  });
  return {
    write(line) {
      if (isClosed) droppedLines++;
      else stream.write(line);
    },
    get droppedLines() {
      return droppedLines;
    },
    get problem() {
      return problem;
    },
    reopen() {
      if (!isFile || isClosed) return;
      reopened = once(stream, "ready", { signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) }).catch(() => undefined);
      stream.reopen();
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      // An end that meets a file being opened again would be forgotten.
      await reopened;
      await written(stream);
      stream.destroy();
    },
  };
}

/** Settles once all is written, or can not be. */
async function written(stream: sonicBoom.SonicBoom): Promise<void> {
  const deadline = AbortSignal.timeout(CLOSE_TIMEOUT_MS);
  const closed = once(stream, "close", { signal: deadline });
  stream.end();
  // A reader that takes nothing any more, or a full disk: what is not written by now is lost.
  await closed.catch(() => undefined);
}
