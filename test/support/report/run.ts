import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import type { RunReport } from "../reporter.ts";
import { countOutcomes } from "./tally.ts";
import { secondsText } from "./text.ts";

/** This process was told to end; what it had started has ended. */
export class Interrupted extends Error {
  /** What a shell takes for an end by the signal. */
  readonly status: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.status = 128 + constants.signals[signal];
  }
}

/**
 * Runs a program with this one's output; resolves with its status. A signal to this process ends the program first: one
 * that goes to this process alone would leave it behind.
 *
 * @throws Interrupted after such a signal
 */
export async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...env } });
  let interrupted: Interrupted | undefined;
  const end = (signal: NodeJS.Signals) => {
    interrupted = new Interrupted(signal);
    child.kill(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, end);
  try {
    const status = await ended(child);
    if (interrupted !== undefined) throw interrupted;
    return status;
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}

function ended(child: ChildProcess): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on("error", reject);
  child.on("exit", (status, signal) => resolve(status ?? 128 + constants.signals[signal ?? "SIGTERM"]));
  return promise;
}

/**
 * Runs something that leaves a report of its tests, and reads that. It is given the path for the report; a bad end that
 * the report does not explain becomes a problem in it.
 */
export async function reported(path: string, start: (path: string) => Promise<number>): Promise<RunReport> {
  const status = await start(path);
  if (!existsSync(path)) {
    return { records: [], problems: [`the tests ended with status ${status} and left no report`] };
  }
  const report = JSON.parse(readFileSync(path, "utf8")) as RunReport;
  const isExplained = countOutcomes(report.records).failed > 0 || report.problems.length > 0;
  if (status === 0 || isExplained) return report;
  return { ...report, problems: [`the tests' runner ended with status ${status}, though no test failed`] };
}

/** Does something, and tells how long it took. */
export async function timed<T>(phase: string, work: () => Promise<T>): Promise<T> {
  console.log(`phase ${phase}: started`);
  const startedAt = performance.now();
  const result = await work();
  console.log(`phase ${phase}: ${secondsText(performance.now() - startedAt)}`);
  return result;
}
