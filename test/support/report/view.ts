import type { TestEvent } from "node:test/reporters";
import { countOutcomes, type FileResult, isTest } from "./tally.ts";
import { failureLines, fileLine, secondsText } from "./text.ts";

/** How a run shows itself while it goes on: what to print for an event, and for the file that ended with it. */
export interface View {
  show(event: TestEvent | "tick", ended: FileResult | undefined): string;
  /** What to print before the end of the report. */
  close(): string;
}

/** For a pipe: a line for each file when it ends. */
export const pipeView: View = {
  show: (_event, ended) => (ended === undefined ? "" : linesText([fileLine(ended), ...failureLines(ended)])),
  close: () => "",
};

/** Lines as they are printed: each ended, none if there are none. */
export function linesText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

const CLEAR_LINE = "\r\u001b[2K";

/** For a terminal: one line at its foot that tells how far the run is, and above it the files with failures. */
export class TerminalView implements View {
  readonly #columns: number;
  readonly #startedAt = performance.now();
  #ended = 0;
  #failed = 0;
  #skipped = 0;
  #current = "";

  constructor(columns: number) {
    this.#columns = columns;
  }

  show(event: TestEvent | "tick", ended: FileResult | undefined): string {
    const isNews = event === "tick" || this.#take(event);
    const lines = ended === undefined || countOutcomes(ended.records).failed === 0 ? [] : failedFileLines(ended);
    return isNews || lines.length > 0 ? `${CLEAR_LINE}${linesText(lines)}${this.#statusLine()}` : "";
  }

  close(): string {
    return CLEAR_LINE;
  }

  /** Counts a test at the moment it ends, which is before the runner reports it. */
  #take(event: TestEvent): boolean {
    if (event.type !== "test:complete" || !isTest(event.data)) return false;
    this.#ended += 1;
    if (event.data.skip !== undefined) this.#skipped += 1;
    else if (!event.data.details.passed) this.#failed += 1;
    this.#current = event.data.name;
    return true;
  }

  #statusLine(): string {
    const counts = `${this.#ended} tests, ${this.#failed} failed, ${this.#skipped} skipped`;
    const line = `${counts}, ${secondsText(performance.now() - this.#startedAt)}  ${this.#current}`;
    return line.slice(0, Math.max(this.#columns, 40) - 1);
  }
}

function failedFileLines(file: FileResult): string[] {
  return [fileLine(file), ...failureLines(file)];
}

/** Passes events on, with a tick whenever none has come for the given time: so that a clock on a screen goes on. */
export async function* withTicks(
  source: AsyncIterable<TestEvent>,
  everyMs: number,
): AsyncGenerator<TestEvent | "tick"> {
  const events = source[Symbol.asyncIterator]();
  let next = events.next();
  for (;;) {
    const { promise: tick, resolve } = Promise.withResolvers<"tick">();
    const timer = setTimeout(resolve, everyMs, "tick");
    const first = await Promise.race([next, tick]);
    clearTimeout(timer);
    if (first === "tick") {
      yield first;
      continue;
    }
    if (first.done) return;
    yield first.value;
    next = events.next();
  }
}
