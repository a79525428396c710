import type { Readable } from "node:stream";
import type { BoundedFile } from "../host/host.ts";

/** How much of the newest output is kept in memory, for error messages and exit causes. */
const TAIL_BYTES = 8 * 1024;

/**
 * A FIFO holds 64 KiB, in pages of which the last may not be full: one that is found with so much in it was full before,
 * and its writer has dropped what came then.
 */
const FULL_BYTES = 60 * 1024;

type Listener = (chunk: Uint8Array) => void;

/** How a FIFO is read. */
export interface DrainOptions {
  readonly listener?: Listener | undefined;
  /** Nobody may have read it for a while: bytes may have been lost meanwhile. */
  readonly wasUnread?: boolean;
}

/**
 * Reads one FIFO of a VM until its last writer is gone: into a bounded file, to whoever listens, and into a short tail
 * in memory. All of it is an untrusted guest's to choose.
 */
export class Drain {
  /** Settles with the first byte; never, where none comes. */
  readonly firstByte: Promise<void>;
  /** Settles when the last writer is gone, and everything has been read and written to the file. */
  readonly ended: Promise<void>;
  readonly #source: Readable;
  readonly #file: BoundedFile;
  readonly #listeners = new Set<Listener>();
  #tail: Buffer = Buffer.alloc(0);

  constructor(source: Readable, file: BoundedFile, { listener, wasUnread = false }: DrainOptions = {}) {
    this.#source = source;
    this.#file = file;
    if (wasUnread) source.once("data", (chunk: Buffer) => this.#lookForGap(chunk));
    if (listener !== undefined) this.#listeners.add(listener);
    const first = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.firstByte = first.promise;
    this.ended = ended.promise;
    source.once("data", () => first.resolve());
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.on("error", () => source.destroy());
    source.once("close", () => void this.#file.close().finally(() => ended.resolve()));
  }

  /** The newest output, at most 8 KiB, as text. */
  get tail(): string {
    return this.#tail.toString("utf8");
  }

  /** Bytes that the bounded file has let go of. */
  get droppedBytes(): number {
    return this.#file.droppedBytes;
  }

  /** What the file could not take, such as a full disk; reading goes on without it. */
  get fileError(): unknown {
    return this.#file.error;
  }

  /** Calls `listener` with every further chunk; the returned function ends that. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Settles with true once `pattern` is in the tail, with false when the FIFO has ended without. */
  async waitFor(pattern: string): Promise<boolean> {
    if (this.tail.includes(pattern)) return true;
    const found = Promise.withResolvers<boolean>();
    const stop = this.subscribe(() => {
      if (this.tail.includes(pattern)) found.resolve(true);
    });
    try {
      return await Promise.race([found.promise, this.ended.then(() => this.tail.includes(pattern))]);
    } finally {
      stop();
    }
  }

  /** Gives up reading; what the FIFO holds stays there for the next reader. Settles when what was read is written. */
  detach(): Promise<void> {
    this.#source.destroy();
    return this.ended;
  }

  /** What was in it before anybody read comes as the first chunk. */
  #lookForGap(chunk: Buffer): void {
    if (chunk.length >= FULL_BYTES) this.#file.noteGap();
  }

  #take(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
    for (const listener of this.#listeners) listener(chunk);
    this.#file.append(chunk);
  }
}
