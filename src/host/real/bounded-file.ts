import { constants } from "node:fs";
import { type FileHandle, lstat, open, readFile, rename, writeFile } from "node:fs/promises";
import type { BoundedFile, OutputLosses } from "../host.ts";

const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;

/** How long bytes wait for others before they are written: nobody reads a log faster, and a start has no time for it. */
const DELAY_MS = 20;

/** What waits in memory while the disk is busy, at most. Some hundred VMs may flood at once. */
const PENDING_MAX_BYTES = 256 * 1024;

/** A disk that took nothing is asked again after this. */
const RETRY_MS = 1_000;

const NO_LOSSES: OutputLosses = Object.freeze({ droppedBytes: 0, gaps: 0 });

/**
 * Two files of half the limit each; when the newer one is full it takes the place of the older one. Bytes are written
 * behind the caller's back, in order: making a file takes a millisecond, which whoever drains a FIFO does not have. What
 * was let go of is counted in a third file, over all processes that wrote here.
 */
export class RotatingFile implements BoundedFile {
  readonly #path: string;
  readonly #half: number;
  #handle: FileHandle | undefined;
  #size = 0;
  #losses = { ...NO_LOSSES };
  /** As the third file has them. */
  #counted = NO_LOSSES;
  #isCounted = false;
  #error: unknown;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #isWriting = false;
  #work: Promise<void> = Promise.resolve();

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#half = Math.max(1, Math.floor(maxBytes / 2));
  }

  get droppedBytes(): number {
    return this.#losses.droppedBytes;
  }

  get error(): unknown {
    return this.#error;
  }

  append(chunk: Uint8Array): void {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    this.#shed();
    if (this.#isWriting) return;
    if (this.#error !== undefined) this.#timer ??= setTimeout(() => void this.flush(), RETRY_MS).unref();
    else if (this.#pendingBytes >= this.#half) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), DELAY_MS);
  }

  noteGap(): void {
    this.#losses.gaps++;
    this.append(new Uint8Array(0));
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#handle?.close();
    this.#handle = undefined;
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isWriting || this.#pending.length === 0) return this.#work;
    this.#isWriting = true;
    this.#work = this.#writePending().finally(() => {
      this.#isWriting = false;
    });
    return this.#work;
  }

  /** Memory is as bounded as the file: the oldest of what waits goes. */
  #shed(): void {
    while (this.#pendingBytes > PENDING_MAX_BYTES && this.#pending.length > 1) {
      this.#drop(this.#pending.shift()?.length ?? 0);
    }
  }

  #drop(bytes: number): void {
    this.#pendingBytes -= bytes;
    this.#losses.droppedBytes += bytes;
  }

  /** Until nothing waits any more, or the disk takes nothing. */
  async #writePending(): Promise<void> {
    while (this.#pending.length > 0) {
      const bytes = Buffer.concat(this.#pending);
      this.#pending = [];
      this.#pendingBytes = 0;
      try {
        await this.#write(bytes);
        await this.#count();
        this.#error = undefined;
      } catch (error) {
        // How much of them was written is not worth to know: they count as lost.
        this.#losses.droppedBytes += bytes.length;
        this.#error = error;
        return;
      }
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    await this.#open();
    // What would be let go of before all is written need not be written.
    const first = Math.max(0, bytes.length - 2 * this.#half);
    this.#losses.droppedBytes += first;
    for (let offset = first; offset < bytes.length; ) {
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
      await this.#recount();
    }
    return this.#handle;
  }

  async #rotate(): Promise<FileHandle> {
    const handle = await this.#open();
    if (this.#size > 0) {
      await handle.close();
      this.#handle = undefined;
      const older = `${this.#path}.1`;
      this.#losses.droppedBytes += await lstat(older).then(
        ({ size }) => size,
        () => 0,
      );
      await rename(this.#path, older);
    }
    return this.#open();
  }

  /** Whoever wrote here before has counted too. */
  async #recount(): Promise<void> {
    if (this.#isCounted) return;
    this.#isCounted = true;
    const before = parseLosses(await readFile(lossesPath(this.#path), "utf8").catch(() => ""));
    this.#counted = before;
    this.#losses.droppedBytes += before.droppedBytes;
    this.#losses.gaps += before.gaps;
  }

  async #count(): Promise<void> {
    const { droppedBytes, gaps } = this.#losses;
    if (droppedBytes === this.#counted.droppedBytes && gaps === this.#counted.gaps) return;
    const draft = `${lossesPath(this.#path)}.new`;
    await writeFile(draft, `${droppedBytes} ${gaps}\n`, { mode: 0o640 });
    await rename(draft, lossesPath(this.#path));
    this.#counted = { droppedBytes, gaps };
  }
}

/** Where it is counted what a bounded file has lost. */
export function lossesPath(path: string): string {
  return `${path}.lost`;
}

/** Total: what is no count counts nothing. */
export function parseLosses(text: string): OutputLosses {
  const [, droppedBytes, gaps] = /^(\d{1,15}) (\d{1,9})\n$/.exec(text) ?? [];
  return droppedBytes === undefined ? NO_LOSSES : { droppedBytes: Number(droppedBytes), gaps: Number(gaps) };
}
