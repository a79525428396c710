import { constants } from "node:fs";
import { type FileHandle, lstat, open, rename } from "node:fs/promises";
import type { BoundedFile } from "../host.ts";

const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;

/** How long bytes wait for others before they are written: nobody reads a log faster, and a start has no time for it. */
const DELAY_MS = 20;

/**
 * Two files of half the limit each; when the newer one is full it takes the place of the older one. Bytes are written
 * behind the caller's back, in order: making a file takes a millisecond, which whoever drains a FIFO does not have.
 */
export class RotatingFile implements BoundedFile {
  readonly #path: string;
  readonly #half: number;
  #handle: FileHandle | undefined;
  #size = 0;
  #dropped = 0;
  #error: unknown;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#half = Math.max(1, Math.floor(maxBytes / 2));
  }

  get droppedBytes(): number {
    return this.#dropped;
  }

  get error(): unknown {
    return this.#error;
  }

  append(chunk: Uint8Array): void {
    if (this.#error !== undefined) return;
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    // More than fits is not kept waiting either: memory is as bounded as the file.
    if (this.#pendingBytes >= this.#half) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), DELAY_MS);
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#handle?.close();
    this.#handle = undefined;
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pendingBytes === 0) return this.#work;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#work = this.#work
      .then(() => this.#write(bytes))
      .catch((error: unknown) => {
        this.#error = error;
      });
    return this.#work;
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let offset = 0; offset < bytes.length; ) {
      const part = bytes.subarray(offset, offset + this.#half);
      const handle = this.#size + part.length > this.#half ? await this.#rotate() : await this.#open();
      await handle.writeFile(part);
      this.#size += part.length;
      offset += part.length;
    }
  }

  async #open(): Promise<FileHandle> {
    if (this.#handle === undefined) {
      this.#handle = await open(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);
      this.#size = (await this.#handle.stat()).size;
    }
    return this.#handle;
  }

  async #rotate(): Promise<FileHandle> {
    const handle = await this.#open();
    if (this.#size > 0) {
      await handle.close();
      this.#handle = undefined;
      const older = `${this.#path}.1`;
      this.#dropped += await lstat(older).then(
        ({ size }) => size,
        () => 0,
      );
      await rename(this.#path, older);
    }
    return this.#open();
  }
}
