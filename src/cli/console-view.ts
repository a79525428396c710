import { ConsoleFilter } from "./console-filter.ts";
import type { Output } from "./terminal.ts";

/** What may wait for a slow reader: a guest that prints without end must not fill this process's memory. */
const PENDING_MAX_BYTES = 1024 * 1024;

/** Shows a guest's console: byte for byte in a pipe or a file, without what can do harm on a terminal. */
export class ConsoleView {
  readonly #output: Output;
  readonly #filter: ConsoleFilter | undefined;
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
    if (this.#output.pendingBytes > PENDING_MAX_BYTES) {
      this.#droppedBytes += chunk.length;
      return;
    }
    this.#isAtLineStart = chunk.at(-1) === LINE_FEED;
    this.#output.write(this.#filter?.push(chunk) ?? chunk);
  }

  /** Makes room for a line of Warder's own on a terminal. */
  breakLine(): void {
    if (!this.#isAtLineStart && this.#output.isTTY) this.#output.write("\n");
    this.#isAtLineStart = true;
  }

  /** Ends the guest's turn on the terminal: colours off, cursor shown. */
  end(): void {
    if (this.#filter?.hasPassedSequence === true) this.#output.write("\u001b[0m\u001b[?25h");
    this.breakLine();
  }
}

const LINE_FEED = 0x0a;
