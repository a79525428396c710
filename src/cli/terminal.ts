import type { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";

/** Where a command prints, and how. Handed to every command, so that tests can look at what was printed. */
export interface Terminal {
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** Whether what goes to standard output may be coloured. */
  readonly color: boolean;
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

/** The text in its tone, where colour is allowed. */
export function paint(terminal: Terminal, tone: Tone, text: string): string {
  if (!terminal.color) return text;
  const [on, off] = codes[tone];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** Control characters made visible: what a guest or a file name holds must not drive the terminal. */
export function harmless(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (char) =>
    char === "\n" || char === "\t" ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** Prints one JSON document on one line. */
export function printJson(terminal: Terminal, document: unknown): void {
  terminal.stdout.write(`${JSON.stringify(document)}\n`);
}

/** Prints a line for people. */
export function printLine(terminal: Terminal, line = ""): void {
  terminal.stdout.write(`${line}\n`);
}

/** Prints a line that is not the command's result: progress, warnings, errors. */
export function printNote(terminal: Terminal, line: string): void {
  terminal.stderr.write(`${line}\n`);
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
