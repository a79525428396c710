import { relative, resolve } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { describeError } from "./error-text.ts";

/** One test, as it ended. */
export interface TestRecord {
  /** The test file, relative to the project. */
  readonly file: string;
  /** The names of its suites and its own, from the outside in. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly durationMs: number;
  /** Why it was skipped. */
  readonly reason?: string;
  /** What went wrong, in full. */
  readonly failure?: string;
}

/** What a test file came to, or, if more is heard of it after its end, what came since. */
export interface FileResult {
  readonly file: string;
  readonly records: readonly TestRecord[];
  /** What it printed to stdout and stderr, in the order in which it came. */
  readonly output: string;
  readonly durationMs: number;
}

/** How many tests came out how. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The name under which a test file itself fails: it did not load, or ended badly, or has no tests. */
export const WHOLE_FILE = "(the file itself)";

/** Adds up how tests ended. */
export function countOutcomes(records: readonly TestRecord[]): Counts {
  const count = (outcome: TestRecord["outcome"]) => records.filter((record) => record.outcome === outcome).length;
  return { passed: count("passed"), failed: count("failed"), skipped: count("skipped") };
}

type Ended = Extract<TestEvent, { type: "test:pass" | "test:fail" }>;

/**
 * Turns the events of node:test's runner into records, file by file.
 *
 * Suites, and tests that failed only because a test in them did, are not counted, but a suite that was skipped is: none
 * of its tests were looked at. A skip without a reason is a failure, and so is a file without tests: either would let
 * tests disappear unseen.
 */
export class Tally {
  readonly #root: string;
  readonly #records: TestRecord[] = [];
  readonly #files = new Map<string, FileProgress>();

  constructor(root: string = process.cwd()) {
    this.#root = root;
  }

  /** All tests that have ended. */
  get records(): readonly TestRecord[] {
    return this.#records;
  }

  /** Takes in an event; returns a file that has come to its end with it. */
  take(event: TestEvent): FileResult | undefined {
    switch (event.type) {
      case "test:start":
        this.#progress(event.data).names[event.data.nesting] = event.data.name;
        return undefined;
      case "test:stderr":
      case "test:stdout":
        this.#progress(event.data).output += event.data.message;
        return undefined;
      case "test:pass":
      case "test:fail":
        return isFileItself(event.data) ? this.#endFile(event) : this.#endTest(event);
      case "test:summary":
        return event.data.file === undefined ? undefined : this.#result(event.data, event.data.duration_ms);
      default:
        return undefined;
    }
  }

  #endTest(event: Ended): undefined {
    const { data } = event;
    const outcome = outcomeOf(event);
    if (outcome === undefined) return;
    const progress = this.#progress(data);
    const name = [...progress.names.slice(0, data.nesting), data.name].join(" > ");
    progress.records.push({ file: progress.file, name, durationMs: data.details.duration_ms, ...outcome });
  }

  /** A file stands in the events as a test of its own, which passes only if it had no tests in it. */
  #endFile(event: Ended): FileResult {
    const failure =
      event.type === "test:fail"
        ? `${describeError(event.data.details.error)}\n(its process ended badly: what it printed tells why)`
        : "There are no tests in it. A file that only helps tests belongs to test/support/.";
    const durationMs = event.data.details.duration_ms;
    const { file, records } = this.#progress(event.data);
    records.push({ file, name: WHOLE_FILE, outcome: "failed", durationMs, failure });
    return this.#result(event.data, durationMs);
  }

  #result(location: Location, durationMs: number): FileResult {
    const progress = this.#progress(location);
    const { file, records, output } = progress;
    this.#records.push(...records);
    progress.records = [];
    progress.output = "";
    return { file, records, output, durationMs };
  }

  #progress({ entryFile, file }: Location): FileProgress {
    const name = relative(this.#root, resolve(this.#root, entryFile ?? file ?? "unknown"));
    const progress = this.#files.get(name) ?? { file: name, names: [], records: [], output: "" };
    this.#files.set(name, progress);
    return progress;
  }
}

/** Where an event comes from: the test's own file, and the one that was run, which differ where one calls another. */
interface Location {
  readonly file?: string | undefined;
  readonly entryFile?: string | undefined;
}

/** What is known of a file and was not told yet. */
interface FileProgress {
  readonly file: string;
  /** The suites and tests that the runner is in, by nesting. */
  readonly names: string[];
  records: TestRecord[];
  output: string;
}

type Outcome = Pick<TestRecord, "outcome" | "reason" | "failure">;

function outcomeOf(event: Ended): Outcome | undefined {
  const { skip, todo } = event.data;
  if (skip !== undefined && skip !== false) return skippedFor(skip, "");
  if (todo !== undefined && todo !== false) return skippedFor(todo, "to be done: ");
  if (event.type === "test:pass") return isTest(event.data) ? { outcome: "passed" } : undefined;
  const { error } = event.data.details;
  return isOnlyOfSubtests(error) ? undefined : { outcome: "failed", failure: describeError(error) };
}

function skippedFor(reason: string | true, prefix: string): Outcome {
  if (typeof reason === "string" && reason.trim() !== "") return { outcome: "skipped", reason: `${prefix}${reason}` };
  return {
    outcome: "failed",
    failure: "It was skipped without a reason. Use requires() of test/support/capability.ts.",
  };
}

/** Whether what ended is a test for itself: no suite, no file, and no test that failed only because one in it did. */
export function isTest(data: Omit<Ended["data"], "details"> & { details: { type?: string; error?: Error } }): boolean {
  return data.details.type !== "suite" && !isFileItself(data) && !isOnlyOfSubtests(data.details.error);
}

/** The runner takes a test file for a test with the file's name. */
function isFileItself({ nesting, name, file }: { nesting: number; name: string; file?: string }): boolean {
  return nesting === 0 && file !== undefined && resolve(name) === file;
}

function isOnlyOfSubtests(error: Error | undefined): boolean {
  return (error as { failureType?: unknown } | undefined)?.failureType === "subtestsFailed";
}
