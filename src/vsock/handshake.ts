import type { Duplex } from "node:stream";
import { WarderError } from "../vm/error.ts";
import { NoLine, readLine } from "./line.ts";

/** `OK 4294967295\n` has 14 bytes; a longer answer is none. */
const ANSWER_MAX_BYTES = 32;

/**
 * Asks Firecracker for a connection to a port of its guest's: `CONNECT <port>`, answered by `OK <host's port>` once the
 * guest has accepted, by a close where nothing listens, and by nothing at all where the guest has no driver.
 * Source: Firecracker's docs/vsock.md, "Host-Initiated Connections".
 *
 * @throws {@link WarderError} `vsock-refused`; the signal's reason.
 */
export async function askForPort(stream: Duplex, id: string, port: number, signal: AbortSignal): Promise<void> {
  // In one piece: Firecracker reads it without waiting for more.
  stream.write(`CONNECT ${port}\n`);
  const answer = await readAnswer(stream, id, port, signal);
  if (/^OK \d{1,10}$/.test(answer)) return;
  throw refused(id, port, `its Firecracker answered ${JSON.stringify(answer)}`);
}

async function readAnswer(stream: Duplex, id: string, port: number, signal: AbortSignal): Promise<string> {
  try {
    return await readLine(stream, ANSWER_MAX_BYTES, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NoLine && !error.ended) throw refused(id, port, `its Firecracker answered ${error.message}`);
    throw refused(id, port, "nothing in the guest listens there", error);
  }
}

function refused(id: string, port: number, why: string, cause?: unknown): WarderError {
  return new WarderError("vsock-refused", {
    doing: `connecting to vsock port ${port} of ${id}`,
    why,
    cure: "Look whether the guest's program runs, and listens on this port",
    ...(cause === undefined ? {} : { cause }),
  });
}
