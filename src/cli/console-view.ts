import { ConsoleFilter } from "./console-filter.ts";
import type { Output } from "./terminal.ts";

/** What may wait for a slow reader: a guest that prints without end must not fill this process's memory. */
const HELD_MAX_BYTES = 256 * 1024;

/** Shows a guest's console: byte for byte in a pipe or a file, without what can do harm on a terminal. */
export class ConsoleView {
  readonly #output: Output;
  readonly #filter: ConsoleFilter | undefined;
  /** One buffer, as a guest may print byte by byte, and each chunk would cost more than what is in it. */
  #held: Buffer | undefined;
  #heldBytes = 0;
  #droppedBytes = 0;
  #isAtLineStart = true;

  constructor(output: Output) {
    this.#output = output;
    this.#filter = output.isTTY ? new ConsoleFilter() : undefined;
  }

  /** Bytes that were not shown as whoever reads the output was too slow. They are in `warder logs`, as far as it goes. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  show(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#isAtLineStart = chunk.at(-1) === LINE_FEED;
    const shown = this.#filter === undefined ? chunk : Buffer.from(this.#filter.push(chunk));
    if (this.#output.isReady && this.#heldBytes === 0) this.#output.write(shown);
    else this.#hold(shown);
  }

  /** Makes room for a line of Warder's own on a terminal. */
  breakLine(): void {
    if (!this.#isAtLineStart && this.#output.isTTY) this.#output.write("\n");
    this.#isAtLineStart = true;
  }

  /** Ends the guest's turn on the terminal: colours off, cursor shown. */
  end(): void {
    this.#flush();
    if (this.#filter?.hasPassedSequence === true) this.#output.write("\u001b[0m\u001b[?25h");
    this.breakLine();
  }

  /** Keeps what fits until the reader has taken what it was given. */
  #hold(bytes: Uint8Array): void {
    this.#held ??= Buffer.allocUnsafe(HELD_MAX_BYTES);
    // A reader that has gone gets no more; whoever listens for that ends the command.
    if (this.#heldBytes === 0)
      this.#output.ready().then(
        () => this.#flush(),
        () => undefined,
      );
    const fitting = bytes.subarray(0, HELD_MAX_BYTES - this.#heldBytes);
    this.#held.set(fitting, this.#heldBytes);
    this.#heldBytes += fitting.length;
    this.#droppedBytes += bytes.length - fitting.length;
  }

  #flush(): void {
    if (this.#held === undefined || this.#heldBytes === 0) return;
    // A copy: the output may keep it for a while.
    this.#output.write(Buffer.from(this.#held.subarray(0, this.#heldBytes)));
    this.#heldBytes = 0;
  }
}

const LINE_FEED = 0x0a;
