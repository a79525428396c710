import type { Duplex } from "node:stream";

/** What {@link readLine} met instead of a line. */
export class NoLine extends Error {
  override readonly name = "NoLine";
  /** Whether the other side ended or closed the stream, rather than saying too much. */
  readonly ended: boolean;

  constructor(why: string, ended: boolean) {
    super(why);
    this.ended = ended;
  }
}

/**
 * Reads one line of at most `maxBytes`, its end included, and leaves what stands behind it to the next reader.
 *
 * @returns The line without its end.
 * @throws {@link NoLine}; the stream's own error; the signal's reason.
 */
export async function readLine(stream: Duplex, maxBytes: number, signal: AbortSignal): Promise<string> {
  let head = Buffer.alloc(0);
  for (;;) {
    signal.throwIfAborted();
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) {
      await readable(stream, signal);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\n");
    if (end < 0 ? head.length >= maxBytes : end >= maxBytes)
      throw new NoLine(`more than ${maxBytes} bytes without a line's end`, false);
    if (end < 0) continue;
    if (end + 1 < head.length) stream.unshift(head.subarray(end + 1));
    return head.toString("latin1", 0, end);
  }
}

/** Settles when there is something to read. */
function readable(stream: Duplex, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (stream.errored !== null) reject(stream.errored);
  if (stream.readableEnded || stream.destroyed) reject(new NoLine("the stream has ended", true));
  const over = new AbortController();
  const on = (event: string, listener: (error?: Error) => void) => {
    stream.once(event, listener);
    over.signal.addEventListener("abort", () => stream.removeListener(event, listener));
  };
  on("readable", () => resolve());
  on("end", () => reject(new NoLine("the stream has ended", true)));
  on("close", () => reject(new NoLine("the stream was closed", true)));
  on("error", (error) => reject(error));
  signal.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
  return promise.finally(() => over.abort());
}
