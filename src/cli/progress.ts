import { paint, type Terminal } from "./terminal.ts";

/** What is done faster than this needs no telling. */
const PATIENCE_MS = 2_000;
const TICK_MS = 500;

/** Tells on a terminal, in one line that is overwritten, what takes long; nothing in a pipe, nothing for what is quick. */
export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #timer: NodeJS.Timeout | undefined;
  #text: string;
  #elapsedMs = 0;
  #isShown = false;

  /** @param text - What is done, such as `starting vm-1`. */
  constructor(terminal: Terminal, text: string) {
    this.#terminal = terminal;
    this.#text = text;
    if (terminal.stderr.isTTY) this.#timer = setInterval(() => this.#show(), TICK_MS).unref();
  }

  /** What is done now. */
  update(text: string): void {
    this.#text = text;
  }

  /** Takes the line away, for another to be printed; it comes back as long as the work goes on. */
  clear(): void {
    if (this.#isShown) this.#terminal.stderr.write(CLEAR_LINE);
    this.#isShown = false;
  }

  /** Takes the line away for good. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #show(): void {
    this.#elapsedMs += TICK_MS;
    if (this.#elapsedMs < PATIENCE_MS) return;
    this.#isShown = true;
    const line = `${this.#text} … ${Math.floor(this.#elapsedMs / 1000)} s`;
    this.#terminal.stderr.write(`${CLEAR_LINE}${paint(this.#terminal.stderr, "dim", line)}`);
  }
}

const CLEAR_LINE = "\r\u001b[K";
