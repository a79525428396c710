/**
 * Reporter for node:test. In a pipe: a line for each test file, and all about its failures. On a terminal: one line that
 * tells how far it is, and the failures. At the end what was skipped for want of what, what failed, and as the last line
 * `N passed, N failed, N skipped`.
 *
 *   node --test --test-reporter=./test/support/reporter.ts FILE…
 *
 * Where WARDER_TEST_REPORT names a file, the records go there as JSON and the end is left out: it is for the one who
 * adds up several runs, scripts/test.ts.
 */
import { writeFileSync } from "node:fs";
import type { TestEvent } from "node:test/reporters";
import { countOutcomes, Tally, type TestRecord } from "./report/tally.ts";
import { countsText, failedLines, skipLines } from "./report/text.ts";
import { linesText, pipeView, TerminalView, withTicks } from "./report/view.ts";

/** What a run came to. */
export interface RunReport {
  readonly records: readonly TestRecord[];
  /** What failed that is no test, such as the coverage. */
  readonly problems: readonly string[];
}

const TICK_MS = 1000;

async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const columns = terminalColumns();
  const view = columns === undefined ? pipeView : new TerminalView(columns);
  const tally = new Tally();
  const problems: string[] = [];

  for await (const event of columns === undefined ? source : withTicks(source, TICK_MS)) {
    if (event !== "tick") problems.push(...problemsIn(event));
    yield view.show(event, event === "tick" ? undefined : tally.take(event));
  }

  yield view.close();
  const run: RunReport = { records: tally.records, problems };
  const path = process.env.WARDER_TEST_REPORT;
  if (path === undefined || path === "") yield endText(run);
  else writeFileSync(path, JSON.stringify(run));
}

// biome-ignore lint/style/noDefaultExport: node's runner takes a reporter as a module's default export
export default report;

/** The end of a run's output: skips, failures, and the counts as its last line. A problem counts as a failure. */
export function endText({ records, problems }: RunReport): string {
  const counts = countOutcomes(records);
  return linesText([
    ...skipLines(records),
    ...failedLines(records, problems),
    countsText({ ...counts, failed: counts.failed + problems.length }),
  ]);
}

/** The width of the terminal that the output goes to, which in the lab only scripts/test.ts can tell; none in a pipe. */
function terminalColumns(): number | undefined {
  if (process.stdout.isTTY) return process.stdout.columns;
  const told = process.env.WARDER_TEST_COLUMNS;
  return told === undefined ? undefined : Number.parseInt(told, 10);
}

/** Errors of the run itself. */
function problemsIn(event: TestEvent): string[] {
  switch (event.type) {
    case "test:diagnostic":
      return event.data.level === "error" ? [event.data.message] : [];
    case "test:interrupted":
      return event.data.tests.map(({ file, name }) => `interrupted while running ${name} of ${file ?? "a file"}`);
    default:
      return [];
  }
}
