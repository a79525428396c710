/**
 * A JSON reader with the positions and the words of serde_json, which Firecracker's answers and logs quote:
 * `unknown field `x`, expected … at line 1 column 8`. Columns count bytes.
 */

/** What was refused, where. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  /** `{}`: with the position at the end, unless there is none. */
  readonly display: string;
  /** `{:?}`: `Error("…", line: 1, column: 2)`. */
  readonly debug: string;

  constructor(message: string, line: number, column: number) {
    super(message);
    this.display = line === 0 ? message : `${message} at line ${line} column ${column}`;
    this.debug = `Error(${JSON.stringify(message)}, line: ${line}, column: ${column})`;
  }
}

/** A JSON number: unsigned, signed or floating, as serde tells them apart. */
export type JsonNumber =
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number };

const CODES = {
  tab: 0x09,
  newline: 0x0a,
  carriageReturn: 0x0d,
  space: 0x20,
  quote: 0x22,
  backslash: 0x5c,
} as const;

const WHITESPACE: ReadonlySet<number | undefined> = new Set([
  CODES.tab,
  CODES.newline,
  CODES.carriageReturn,
  CODES.space,
]);

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const I64_MIN = -0x8000_0000_0000_0000n;

/** A cursor over one document. */
export class JsonReader {
  readonly #bytes: Buffer;
  #index = 0;

  constructor(text: string | Buffer) {
    this.#bytes = typeof text === "string" ? Buffer.from(text) : text;
  }

  /** The next character that is not whitespace; undefined at the end. */
  peek(): string | undefined {
    while (WHITESPACE.has(this.#bytes[this.#index])) this.#index++;
    return this.#at(this.#index);
  }

  /** Steps over the character that `peek` showed. */
  skip(): void {
    this.#index++;
  }

  /** An error at what was read last. */
  error(message: string): JsonError {
    return this.#errorAt(message, this.#index);
  }

  /** An error at the character that comes next. */
  errorAhead(message: string): JsonError {
    return this.#errorAt(message, Math.min(this.#index + 1, this.#bytes.length));
  }

  #errorAt(message: string, index: number): JsonError {
    const before = this.#bytes.subarray(0, index);
    const lastNewline = before.lastIndexOf(CODES.newline);
    const line = 1 + before.reduce((lines, byte) => lines + (byte === CODES.newline ? 1 : 0), 0);
    return new JsonError(message, line, index - (lastNewline + 1));
  }

  #at(index: number): string | undefined {
    const byte = this.#bytes[index];
    return byte === undefined ? undefined : String.fromCharCode(byte);
  }

  /** Reads `true`, `false` or `null`, whose first letter was seen. */
  word(word: "true" | "false" | "null"): void {
    for (const letter of word) {
      const found = this.#at(this.#index);
      if (found === undefined) throw this.error("EOF while parsing a value");
      this.#index++;
      if (found !== letter) throw this.error("expected ident");
    }
  }

  string(): string {
    this.skip();
    const start = this.#index;
    for (;;) {
      const byte = this.#bytes[this.#index];
      if (byte === undefined) throw this.error("EOF while parsing a string");
      this.#index++;
      if (byte === CODES.quote) break;
      if (byte === CODES.backslash) this.#escape();
      else if (byte < CODES.space) {
        throw this.error("control character (\\u0000-\\u001F) found while parsing a string");
      }
    }
    return JSON.parse(`"${this.#bytes.toString("utf8", start, this.#index - 1)}"`);
  }

  #escape(): void {
    const letter = this.#at(this.#index);
    if (letter === undefined) throw this.error("EOF while parsing a string");
    this.#index++;
    if (letter !== "u") {
      if (!'"\\/bfnrt'.includes(letter)) throw this.error("invalid escape");
      return;
    }
    const digits = this.#bytes.toString("latin1", this.#index, this.#index + 4);
    this.#index = Math.min(this.#index + 4, this.#bytes.length);
    if (digits.length < 4) throw this.error("EOF while parsing a string");
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.error("invalid escape");
  }

  number(): JsonNumber {
    const start = this.#index;
    if (this.#at(this.#index) === "-") this.#index++;
    this.#integerDigits();
    const isInteger = !this.#fraction();
    const text = this.#bytes.toString("latin1", start, this.#index);
    const value = isInteger ? BigInt(text) : 0n;
    const isExact = isInteger && text !== "-0" && value <= U64_MAX && value >= I64_MIN;
    return isExact ? { kind: "integer", value } : { kind: "float", value: Number(text) };
  }

  #integerDigits(): void {
    const first = this.#at(this.#index);
    if (first === undefined) throw this.error("EOF while parsing a value");
    if (!isDigit(first)) throw this.errorAhead("invalid number");
    this.#index++;
    if (first === "0" && isDigit(this.#at(this.#index))) throw this.errorAhead("invalid number");
    while (isDigit(this.#at(this.#index))) this.#index++;
  }

  #fraction(): boolean {
    const start = this.#index;
    if (this.#at(this.#index) === ".") {
      this.#index++;
      this.#digits();
    }
    if (/^[eE]$/.test(this.#at(this.#index) ?? "")) {
      this.#index++;
      if (/^[+-]$/.test(this.#at(this.#index) ?? "")) this.#index++;
      this.#digits();
    }
    return this.#index > start;
  }

  #digits(): void {
    const first = this.#at(this.#index);
    if (first === undefined) throw this.error("EOF while parsing a value");
    if (!isDigit(first)) throw this.errorAhead("invalid number");
    while (isDigit(this.#at(this.#index))) this.#index++;
  }

  /** Whatever follows the document, other than whitespace, is an error. */
  end(): void {
    if (this.peek() !== undefined) throw this.errorAhead("trailing characters");
  }
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}
