import { type ChildProcessByStdio, spawn } from "node:child_process";
import * as fs from "node:fs";
import type { Readable, Writable } from "node:stream";
import { WarderError } from "../../vm/error.ts";
import type { ProcessExit } from "../../vm/process.ts";
import type { Background, BackgroundRequest, Processes } from "../host.ts";

type Piped = ChildProcessByStdio<Writable, Readable, Readable>;

/** Longest first line; what is longer is no answer. */
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
const COMPLAINTS_MAX_BYTES = 8 * 1024;
/** As Linux has it on x86-64 and arm64; Node does not name it. */
const O_CLOEXEC = 0o2000000;

/** Starts a program that is to outlive this process, and listens to it until it is let go of. */
export async function spawnBackground(
  request: BackgroundRequest,
  identify: Processes["identify"],
): Promise<Background> {
  const child: Piped = spawn(request.file, request.args, {
    cwd: "/",
    env: request.environment,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const failed = new Promise<Error>((resolve) => child.once("error", resolve));
  if (child.pid === undefined) throw startFailure(request, await failed);
  const { pid } = child;
  const identity = identify(pid);
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaints = `${complaints}${chunk.toString("utf8")}`.slice(-COMPLAINTS_MAX_BYTES);
  });
  const answer = firstLine(child.stdout);
  // A program that ends without reading its input has its say by its exit.
  child.stdin.on("error", () => undefined);
  child.stdin.end(request.input);
  return {
    pid,
    identity,
    answer,
    exited,
    get complaints() {
      return complaints;
    },
    release: () => release(child),
  };
}

function firstLine(output: Readable): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    output.setEncoding("utf8");
    output.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > ANSWER_MAX_BYTES) resolve(undefined);
    });
    output.once("close", () => resolve(undefined));
  });
}

function release(child: Piped): void {
  for (const stream of child.stdio) stream?.destroy();
  child.unref();
}

const FIRST_AFTER_STANDARD_STREAMS = 3;

/** See {@link Processes.closeInherited}: what is inherited lacks the flag that everything opened by Node has. */
export function closeInherited(procRoot: string): void {
  for (const name of fs.readdirSync(`${procRoot}/self/fd`)) {
    const descriptor = Number(name);
    if (descriptor >= FIRST_AFTER_STANDARD_STREAMS && isInherited(procRoot, descriptor)) fs.closeSync(descriptor);
  }
}

function isInherited(procRoot: string, descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(fs.readFileSync(`${procRoot}/self/fdinfo/${descriptor}`, "utf8"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch (error) {
    // The one by which the directory was listed is closed by now.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function startFailure({ file }: BackgroundRequest, cause: Error): WarderError {
  return WarderError.from(cause, "internal", `starting ${file} in the background`);
}
