import assert from "node:assert/strict";
import { type StdioOptions, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isWarderError } from "../../vm/error.ts";
import { toHostPath } from "../../vm/path.ts";
import type { Background } from "../host.ts";
import { openHost } from "./host.ts";

const { processes } = openHost();

async function shell(t: TestContext, script: string, input = ""): Promise<Background> {
  const environment = { GREETING: "hello" };
  const background = await processes.spawnBackground({
    file: toHostPath("/bin/sh"),
    args: ["-c", script],
    environment,
    input,
  });
  t.after(() => {
    if (background.identity !== undefined) processes.signal(background.identity, "SIGKILL");
  });
  return background;
}

async function waitForFile(directory: string, name: string): Promise<void> {
  const watched = fs.promises.watch(directory, { signal: AbortSignal.timeout(10_000) });
  for await (const { filename } of watched) if (filename === name) return;
}

test("it gets its input and its environment, and its first line is the answer", async (t) => {
  const { answer, exited } = await shell(t, 'read -r line; echo "$GREETING $line $HOME"; echo more', "world\n");
  assert.equal(await answer, "hello world ");
  assert.deepEqual(await exited, { code: 0, signal: null });
});

test("it leads a session of its own, in the root directory", async (t) => {
  const { answer, pid } = await shell(
    t,
    'read -r _ _ _ _ _ session _ < /proc/self/stat; echo "$(pwd) $session"; exec sleep 60',
  );
  assert.equal(await answer, `/ ${pid}`);
});

test("one that ends without an answer is told by its end, and by what it complained of", async (t) => {
  const background = await shell(t, "echo broken >&2; exit 7", "nobody reads this");
  assert.equal(await background.answer, undefined);
  assert.deepEqual(await background.exited, { code: 7, signal: null });
  assert.equal(background.complaints, "broken\n");
});

test("once it is let go of it goes on, and its output goes nowhere", async (t) => {
  const directory = fs.mkdtempSync(join(tmpdir(), "warder-background-"));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  fs.mkdirSync(`${directory}/gate`);
  const script = `echo ready; trap "" PIPE; while [ -d ${directory}/gate ]; do :; done; echo lost; echo done > ${directory}/done; exec sleep 60`;
  const background = await shell(t, script);
  assert.equal(await background.answer, "ready");
  background.release();
  const written = waitForFile(directory, "done");
  fs.rmdirSync(`${directory}/gate`);
  await written;
  assert.ok(background.identity !== undefined && processes.isAlive(background.identity));
});

test("a program that is not there is an error", async () => {
  const request = { file: toHostPath("/nowhere/program"), args: [], environment: {}, input: "" };
  await assert.rejects(processes.spawnBackground(request), (error) => {
    assert.ok(isWarderError(error));
    assert.match(error.message, /^starting \/nowhere\/program in the background: .*ENOENT/);
    return true;
  });
});

test("descriptors that were inherited are closed, and no others", () => {
  // Node marks the first sixteen itself, so that they are not inherited any further.
  const inherited = 40;
  const host = join(import.meta.dirname, "host.ts");
  const script = `
    const fs = require("node:fs");
    import(${JSON.stringify(host)}).then(({ openHost }) => {
      const own = fs.openSync("/dev/null");
      const before = fs.existsSync("/proc/self/fd/${inherited}");
      openHost().processes.closeInherited();
      console.log(before, fs.existsSync("/proc/self/fd/${inherited}"), fs.existsSync("/proc/self/fd/" + own));
    });`;
  const stdio = Array.from({ length: inherited + 1 }, (_each, index) =>
    index === 1 || index === 2 ? "pipe" : "ignore",
  );
  const zero = fs.openSync("/dev/zero", "r");
  const { stdout, stderr } = spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", "-e", script], {
    encoding: "utf8",
    stdio: [...stdio.slice(0, inherited), zero] as StdioOptions,
  });
  fs.closeSync(zero);
  assert.equal(stdout, "true false true\n", stderr);
});
