import * as fs from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { systemCodeOf, WarderError } from "../../vm/error.ts";
import type { Commands, Fifos } from "../host.ts";

const { O_RDONLY, O_WRONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;

/** The FIFOs of this machine. Node can not make them, so coreutils' `mkfifo` does, many in one go. */
export function realFifos(commands: Commands): Fifos {
  return {
    async make(paths) {
      await commands.run({ tool: "mkfifo", args: ["-m", "600", "--", ...paths] });
    },
    setOwnership(path, ownership) {
      if (ownership.uid !== undefined && ownership.gid !== undefined) fs.lchownSync(path, ownership.uid, ownership.gid);
      fs.chmodSync(path, ownership.mode);
    },
    read,
    openWriter,
    send,
    close: (descriptor) => fs.closeSync(descriptor),
  };
}

function read(path: string): Readable {
  // O_NONBLOCK makes the opening itself return at once, with or without a writer at the other end.
  const descriptor = fs.openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  return new Socket({ fd: descriptor, readable: true, writable: false });
}

function openWriter(path: string): number | undefined {
  const limit = Error.stackTraceLimit;
  // Nobody at the other end is an answer, not an error: without a stack it costs a tenth.
  Error.stackTraceLimit = 0;
  try {
    return fs.openSync(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    if (systemCodeOf(error) === "ENXIO") return undefined;
    throw error;
  } finally {
    Error.stackTraceLimit = limit;
  }
}

function send(descriptor: number, text: string): void {
  const data = Buffer.from(text);
  try {
    const written = fs.writeSync(descriptor, data);
    if (written === data.length) return;
  } finally {
    fs.closeSync(descriptor);
  }
  throw new WarderError("internal", {
    doing: `writing ${data.length} bytes to a FIFO`,
    why: "they are more than a FIFO holds",
  });
}
