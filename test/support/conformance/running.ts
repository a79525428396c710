/** Processes of one case: started with an empty environment, watched, and gone when the case is over. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subject } from "./subject.ts";
import { until, within } from "./until.ts";

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process with its output in files: whoever inherits them may outlive it. */
export class Running {
  readonly child: ChildProcess;
  readonly #stdoutFile: string;
  readonly #stderrFile: string;
  readonly #exit: Promise<End>;

  constructor(child: ChildProcess, stdoutFile: string, stderrFile: string) {
    this.child = child;
    this.#stdoutFile = stdoutFile;
    this.#stderrFile = stderrFile;
    this.#exit = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("The process was not started");
    return this.child.pid;
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get stdout(): string {
    return readFileSync(this.#stdoutFile, "utf8");
  }

  get stderr(): string {
    return readFileSync(this.#stderrFile, "utf8");
  }

  end(): Promise<End> {
    return within(`the end of ${this.child.spawnfile}`, this.#exit);
  }

  /** Waits until standard output has this. */
  async says(text: string | RegExp): Promise<string> {
    const pattern = typeof text === "string" ? undefined : text;
    return until(`standard output has ${text}`, () => {
      const { stdout } = this;
      if (pattern === undefined ? stdout.includes(text as string) : pattern.test(stdout)) return stdout;
      if (!this.isAlive) throw new Error(`It ended without saying ${text}: ${stdout}${this.stderr}`);
      return false;
    });
  }
}

/** Where output goes: to a file of its own, or to a FIFO that is held open by the case. */
export interface Output {
  readonly directory: string;
  readonly stdout?: number | undefined;
  /** A file that is handed on as descriptor 3. */
  readonly extra?: number | undefined;
}

let count = 0;

export function start(subject: Subject, program: string, argv: readonly string[], output: Output): Running {
  const name = String(++count);
  const files = [join(output.directory, `${name}.out`), join(output.directory, `${name}.err`)] as const;
  const [stdout, stderr] = [openSync(files[0], "a"), openSync(files[1], "a")];
  const child = spawn(program, argv, {
    env: {},
    cwd: output.directory,
    stdio: ["ignore", output.stdout ?? stdout, stderr, ...(output.extra === undefined ? [] : [output.extra])],
    ...subject.startAs,
  });
  closeSync(stdout);
  closeSync(stderr);
  return new Running(child, ...files);
}

/** The words of a running process's command line; none if it is gone. */
export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

/** The pids of all processes that are Firecracker with this id, whoever started them. */
export function pidsOf(id: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const words = commandLine(pid);
    const position = words.indexOf("--id");
    return position !== -1 && words[position + 1] === id;
  });
}

/** How long a process may take to end in order, with what it has to write. */
const ORDERLY_END_MS = 5000;

/** Ends whatever runs with an id, in order if it can, and waits until it is gone. */
export async function killAll(id: string): Promise<void> {
  const startedMs = Date.now();
  const asked = new Set<number>();
  await until(`no process has the id ${id}`, () => {
    const pids = pidsOf(id);
    const isLate = Date.now() - startedMs > ORDERLY_END_MS;
    for (const pid of pids.filter((one) => isLate || !asked.has(one))) kill(pid, isLate ? "SIGKILL" : "SIGHUP");
    for (const pid of pids) asked.add(pid);
    return pids.length === 0;
  });
}

/** Sends a signal; to a process that is gone, none. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Whether a process is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    // No such process.
    return false;
  }
}
