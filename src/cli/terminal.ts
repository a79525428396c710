import { type EventEmitter, once } from "node:events";
import { stripVTControlCharacters } from "node:util";

/** One of the two streams that a command prints to. */
export interface Output {
  /** Whether somebody looks at it. */
  readonly isTTY: boolean;
  /** Whether what goes there may be coloured. */
  readonly color: boolean;
  /** Whether there is room: what is written without it waits in memory. */
  readonly isReady: boolean;
  /** Characters in a line; unlimited where nobody looks. */
  readonly columns: number;
  write(chunk: string | Uint8Array): void;
  /** Settles when there is room; rejects when the signal fires. */
  ready(signal?: AbortSignal): Promise<void>;
}

/** Where a command prints, and how. Handed to every command, so that tests can look at what was printed. */
export interface Terminal {
  /** The command's result. */
  readonly stdout: Output;
  /** Progress, warnings, errors. */
  readonly stderr: Output;
}

/** What a piece of text means; the terminal decides how that looks. */
export type Tone = "good" | "bad" | "warn" | "dim" | "strong";

const codes: Readonly<Record<Tone, readonly [number, number]>> = {
  good: [32, 39],
  bad: [31, 39],
  warn: [33, 39],
  dim: [2, 22],
  strong: [1, 22],
};

/** A stream of Node's, as far as it is used here. */
type NodeStream = Pick<NodeJS.WriteStream, "write" | "writableNeedDrain"> &
  EventEmitter &
  Partial<Pick<NodeJS.WriteStream, "isTTY" | "hasColors" | "columns">>;

/** This process's streams. Node's own look at `NO_COLOR`, `FORCE_COLOR` and `TERM` says whether a terminal is coloured. */
export function openTerminal(stdout: NodeStream, stderr: NodeStream, allowColor: boolean): Terminal {
  return { stdout: toOutput(stdout, allowColor), stderr: toOutput(stderr, allowColor) };
}

function toOutput(stream: NodeStream, allowColor: boolean): Output {
  const isTTY = stream.isTTY === true;
  return {
    isTTY,
    color: allowColor && isTTY && stream.hasColors?.() === true,
    get isReady() {
      return !stream.writableNeedDrain;
    },
    get columns() {
      return isTTY ? (stream.columns ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    },
    write: (chunk) => void stream.write(chunk),
    async ready(signal) {
      if (stream.writableNeedDrain) await once(stream, "drain", signal === undefined ? {} : { signal });
    },
  };
}

/** The text in its tone, where the output may be coloured. */
export function paint(output: Output, tone: Tone, text: string): string {
  if (!output.color) return text;
  const [on, off] = codes[tone];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** What nearly every text is made of: spares it the look at Unicode's classes, whose first use costs half a millisecond. */
const PLAIN = /^[ -~\n\t…–×⇄→]*$/;

/**
 * Characters made visible which drive a terminal or turn the direction of text: what a guest, a file name or a command
 * line holds must not.
 */
export function harmless(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, (char) => {
    if (char === "\n" || char === "\t") return char;
    const code = char.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** Prints one JSON document on one line. */
export function printJson(terminal: Terminal, document: unknown): void {
  terminal.stdout.write(`${JSON.stringify(document)}\n`);
}

/** Prints a line of the result. */
export function printLine(terminal: Terminal, line = ""): void {
  terminal.stdout.write(`${line}\n`);
}

/** Prints a line that is not the command's result: progress, warnings, errors. */
export function printNote(terminal: Terminal, line: string): void {
  terminal.stderr.write(`${line}\n`);
}

/** Prints a table on standard output. */
export function printTable(
  terminal: Terminal,
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  output: Output = terminal.stdout,
): void {
  const titles = heading.map((title) => paint(output, "strong", title));
  for (const line of formatTable(titles, rows)) output.write(`${line}\n`);
}

/** Rows under a heading, each column as wide as its widest cell. Cells may be coloured. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heading.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? "")].map(visibleWidth)),
  );
  return [heading, ...rows].map((row) =>
    row
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - visibleWidth(cell)))
      .join("  ")
      .trimEnd(),
  );
}

/** Width without the colours of {@link paint}. */
function visibleWidth(text: string): number {
  return stripVTControlCharacters(text).length;
}
