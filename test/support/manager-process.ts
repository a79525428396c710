import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { WarderFixture } from "./warder-fixture.ts";

/** A manager in a process of its own, to be killed at any moment. */
export interface ManagerProcess extends AsyncDisposable {
  readonly pid: number;
  /** What its script has told, line by line. */
  tell(): Promise<unknown>;
  /** Ends it without a word: it gets no chance to put anything in order. */
  kill(): Promise<void>;
  /** What it wrote to standard error. */
  readonly complaints: string;
}

const preamble = `
import { Warder } from ${JSON.stringify(new URL("../../src/lifecycle/warder.ts", import.meta.url).href)};
const options = JSON.parse(process.env.WARDER_TEST_OPTIONS);
const tell = (value) => process.stdout.write(JSON.stringify(value) + "\\n");
const stall = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
const idle = () => new Promise((resolve) => setInterval(() => undefined, 60_000));
`;

/**
 * Runs a script in a process of its own. It has `Warder`, the fixture's `options`, `tell(value)`, `stall()`, which stops it
 * dead, and `await idle()`, which only waits.
 */
export function startManager(
  options: WarderFixture["options"],
  script: string,
  environment: NodeJS.ProcessEnv = {},
): ManagerProcess {
  const plain = { ...options, reporter: undefined };
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", `${preamble}${script}`],
    {
      env: { ...process.env, ...environment, WARDER_TEST_OPTIONS: JSON.stringify(plain) },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaints += chunk;
  });
  const kill = () => end(child);
  return {
    pid: child.pid ?? 0,
    get complaints() {
      return complaints;
    },
    async tell() {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`the manager ended: ${complaints}`);
      return JSON.parse(value);
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
