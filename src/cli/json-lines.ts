import { printJson, type Terminal } from "./terminal.ts";

/** A line without an end is cut here, so that a guest can not fill the memory with one. */
const LINE_MAX_LENGTH = 64 * 1024;

/** Prints output as a stream of documents, one for each line: `{"source": "console", "line": "…"}`. */
export class JsonLines {
  readonly #terminal: Terminal;
  readonly #source: string;
  readonly #decoder = new TextDecoder("utf-8");
  #pending = "";

  constructor(terminal: Terminal, source: string) {
    this.#terminal = terminal;
    this.#source = source;
  }

  show(chunk: Uint8Array): void {
    const lines = `${this.#pending}${this.#decoder.decode(chunk, { stream: true })}`.split("\n");
    this.#pending = lines.pop() ?? "";
    for (const line of lines) this.#print(line);
    while (this.#pending.length > LINE_MAX_LENGTH) {
      this.#print(this.#pending.slice(0, LINE_MAX_LENGTH));
      this.#pending = this.#pending.slice(LINE_MAX_LENGTH);
    }
  }

  end(): void {
    if (this.#pending !== "") this.#print(this.#pending);
    this.#pending = "";
  }

  /** A serial port ends its lines with both characters. */
  #print(line: string): void {
    printJson(this.#terminal, { source: this.#source, line: line.replace(/\r$/, "") });
  }
}
