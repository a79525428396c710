import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { WarderError } from "../../vm/error.ts";
import type { ProcessExit, ProcessIdentity } from "../../vm/process.ts";
import type { Child, SpawnRequest } from "../host.ts";

/**
 * Runs each line it is given. It stays as small as it starts, so that its forks take a fraction of a millisecond, where
 * one of Node takes several and slows everything down afterwards (its memory is copied page by page). It drops what it
 * has in its environment all the same: where it is, and what Node gives to its children when coverage is measured.
 */
const SHELL = 'unset PWD OLDPWD NODE_V8_COVERAGE; umask 022; while IFS= read -r line; do eval "$line"; done';

/** Exit statuses by which a shell tells that a signal ended a program. */
const SIGNAL_STATUS = 128;

/**
 * Signals that Firecracker dies of. It ends with statuses of its own above 128 for those that it handles, so not every
 * such status is a signal's (`FcExitCode` in its source, 148 to 157).
 */
const deadly: ReadonlySet<string> = new Set([
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTRAP",
  "SIGABRT",
  "SIGFPE",
  "SIGKILL",
  "SIGUSR1",
  "SIGSEGV",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGSYS",
]);

interface Waiting {
  readonly started: (pid: number) => void;
  readonly ended: (exit: ProcessExit) => void;
}

/**
 * Starts programs through a shell of its own, which has a small parent for each of them: it collects the exit status,
 * writes it down, and outlives this process.
 */
export class Spawner {
  readonly #identify: (pid: number) => ProcessIdentity | undefined;
  readonly #waiting = new Map<string, Waiting>();
  #shell: ChildProcess | undefined;
  #next = 0;
  #living = 0;
  #rest = "";

  constructor(identify: (pid: number) => ProcessIdentity | undefined) {
    this.#identify = identify;
  }

  /** Starts the shell, so that the first program need not wait for it. */
  warmUp(): void {
    this.#open();
  }

  /** Starts a program. Its end is told while this process lives; afterwards `exitFile` tells. */
  async spawn(request: SpawnRequest): Promise<Child> {
    refuseMissing(request);
    const key = String(this.#next++);
    const line = lineFor(key, request);
    const started = Promise.withResolvers<number>();
    const ended = Promise.withResolvers<ProcessExit>();
    this.#waiting.set(key, { started: started.resolve, ended: ended.resolve });
    this.#hold();
    let isHeld = true;
    const letGo = () => {
      if (isHeld) this.#letGo();
      isHeld = false;
    };
    void ended.promise.then(letGo);
    this.#open().stdin?.write(line);
    const pid = await Promise.race([started.promise, ended.promise.then(() => undefined)]);
    if (pid === undefined) throw failure(request, "the shell that starts programs ended");
    return { pid, identity: this.#identify(pid), exited: ended.promise, unref: letGo };
  }

  /** Ends the shell. Its programs, and who keeps their exit statuses, go on. */
  close(): void {
    const shell = this.#shell;
    this.#shell = undefined;
    shell?.stdin?.destroy();
    shell?.stdout?.destroy();
  }

  #open(): ChildProcess {
    if (this.#shell !== undefined) return this.#shell;
    const shell = spawn("/bin/sh", ["-c", SHELL], {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.#shell = shell;
    this.#rest = "";
    shell.stdout?.setEncoding("latin1").on("data", (text: string) => this.#hear(text));
    shell.stdin?.on("error", () => undefined);
    shell.once("error", () => this.#lose(shell));
    shell.once("close", () => this.#lose(shell));
    this.#setReference(this.#living > 0);
    return shell;
  }

  /** Its children live on; who waits for one sees its end by other means. */
  #lose(shell: ChildProcess): void {
    if (this.#shell === shell) this.#shell = undefined;
    for (const [key, { ended }] of this.#waiting) {
      this.#waiting.delete(key);
      ended({ code: null, signal: null });
    }
  }

  /** `s <key> <pid>` when a program starts, `e <key> <status>` when it has ended. */
  #hear(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [what, key = "", value = ""] = line.split(" ");
      const waiting = this.#waiting.get(key);
      if (what === "s") waiting?.started(Number(value));
      else if (what === "e") {
        this.#waiting.delete(key);
        waiting?.ended(toExit(Number(value)));
      }
    }
  }

  /** This process stays while one of its programs runs that it has not let go of, as it would with children. */
  #hold(): void {
    if (++this.#living === 1) this.#setReference(true);
  }

  #letGo(): void {
    if (--this.#living === 0) this.#setReference(false);
  }

  #setReference(isNeeded: boolean): void {
    const shell = this.#shell;
    if (shell === undefined) return;
    const ends: readonly (Referable | null)[] = [shell, shell.stdin, shell.stdout] as readonly (Referable | null)[];
    for (const end of ends) {
      if (isNeeded) end?.ref?.();
      else end?.unref?.();
    }
  }
}

type Referable = Partial<Record<"ref" | "unref", () => void>> & (Readable | Writable | ChildProcess);

/** What the shell tells of an end, as Node would have told it. */
export function toExit(status: number): ProcessExit {
  const number = status - SIGNAL_STATUS;
  const signal = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  if (signal !== undefined && deadly.has(signal)) return { code: null, signal: signal as NodeJS.Signals };
  return { code: status, signal: null };
}

function lineFor(key: string, { file, args, output, exitFile }: SpawnRequest): string {
  const command = [file, ...args].map(quote).join(" ");
  const keep = exitFile === undefined ? "" : `echo $p $s >${quote(exitFile)}; `;
  return `{ ${command} </dev/null 1<>${quote(output)} 2>&1 & p=$!; echo "s ${key} $p"; wait $p; s=$?; ${keep}echo "e ${key} $s"; } &\n`;
}

/** One word of a shell's, whatever it holds; no newline, which would end the line. */
function quote(word: string): string {
  if (word.includes("\n") || word.includes("\0"))
    throw new RangeError(`${JSON.stringify(word)} can not be an argument`);
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function refuseMissing(request: SpawnRequest): void {
  try {
    fs.accessSync(request.file, fs.constants.X_OK);
  } catch (cause) {
    throw failure(request, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function failure(request: SpawnRequest, why: string, cause?: unknown): WarderError {
  return new WarderError("jailer-failed", {
    doing: `starting ${request.file}`,
    why,
    ...(cause === undefined ? {} : { cause }),
  });
}
