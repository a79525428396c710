import type { FileReader } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";
import { outputPaths } from "./output-files.ts";

/** What of a VM's output is kept: the guest's serial port, or Firecracker's log. */
export type OutputKind = "console" | "log";

/** How often new output is looked for. */
const POLL_MS = 50;
const SLICE_BYTES = 64 * 1024;
/** What one look takes in at most: the older half, the newer one, and one that came meanwhile. */
const FILES_AT_ONCE = 3;

/**
 * Reads the kept output of a VM, and goes on where it stopped. A full file becomes `….1` and a new one takes its place
 * (see `BoundedFile`): the one stood in is held open, so that it is known for the same in either place, and left only
 * when it has been read to its end. What comes faster than it is read and kept is lost.
 */
export class OutputReader implements Disposable {
  readonly #machinery: Machinery;
  readonly #id: VmRecord["id"];
  readonly #newer: string;
  readonly #older: string;
  #file: FileReader | undefined;
  #offset = 0;

  constructor(machinery: Machinery, id: VmRecord["id"], kind: OutputKind) {
    this.#machinery = machinery;
    this.#id = id;
    this.#newer = outputPaths(machinery.settings, id)[kind];
    this.#older = `${this.#newer}.1`;
  }

  /** What is there and was not read yet, as it came: untrusted bytes, the oldest of them perhaps gone. */
  *read(): Generator<Uint8Array, void> {
    for (let files = 0; files < FILES_AT_ONCE; files++) {
      // Looked for before the last bytes are read: what has a successor gets no more of them.
      const successor = this.#successor();
      yield* this.#readOn();
      if (successor === undefined) return;
      this.#file?.close();
      this.#file = successor;
      this.#offset = 0;
    }
    yield* this.#readOn();
  }

  /**
   * The same, and then what comes until the VM has ended.
   *
   * @throws the signal's reason.
   */
  async *follow(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const { store, host } = this.#machinery;
    for (;;) {
      // Asked before the last look: whoever looks after the VM writes its output first, and then its end.
      const record = store.get(this.#id);
      yield* this.read();
      if (record === undefined || record.exit !== undefined) return;
      await host.clock.sleep(POLL_MS, signal);
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }

  *#readOn(): Generator<Uint8Array, void> {
    for (;;) {
      const slice = this.#file?.read(this.#offset, SLICE_BYTES);
      if (slice === undefined || slice.length === 0) return;
      this.#offset += slice.length;
      yield slice;
    }
  }

  /** The file to read after the one stood in; `undefined` where that one is the newest. */
  #successor(): FileReader | undefined {
    const current = this.#file?.inode;
    if (current === undefined) return this.#open(this.#older) ?? this.#open(this.#newer);
    const newer = this.#inodeOf(this.#newer);
    if (newer === undefined || newer === current) return undefined;
    const next = this.#open(this.#newer);
    if (this.#inodeOf(this.#older) === current) return next;
    // More than one file came since: the oldest that is still there goes on.
    next?.close();
    return this.#open(this.#older);
  }

  #inodeOf(path: string): number | undefined {
    return this.#machinery.host.files.inspect(path)?.inode;
  }

  #open(path: string): FileReader | undefined {
    try {
      return this.#machinery.host.files.openReader(path);
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }
}
