import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { toHostPath } from "../../vm/path.ts";
import { parseExit, readExitFile } from "./exit-file.ts";
import { openHost } from "./host.ts";

const directory = fs.mkdtempSync(join(tmpdir(), "warder-exit-"));
after(() => fs.rmSync(directory, { recursive: true, force: true }));
const at = (name: string) => join(directory, name);
const write = (name: string, text: string) => {
  fs.writeFileSync(at(name), text);
  return at(name);
};

describe("an exit status that was written down", () => {
  test("is that of a program that ended by itself, or by a signal", () => {
    assert.deepEqual(parseExit("7 0\n"), { pid: 7, exit: { code: 0, signal: null } });
    assert.deepEqual(parseExit("4194304 148\n"), { pid: 4194304, exit: { code: 148, signal: null } });
    assert.deepEqual(parseExit("7 137\n")?.exit, { code: null, signal: "SIGKILL" });
    assert.deepEqual(parseExit("7 159\n")?.exit, { code: null, signal: "SIGSYS" });
  });
  test("is nothing where it is anything else", () => {
    const odd = ["", "7", "7 0", "7 \n", "\n", "0\n", "7 00\n", "7 256\n", "7 -1\n", "7  1\n", "7 1\n\n", "0 1\n"];
    for (const text of odd) assert.equal(parseExit(text), undefined, JSON.stringify(text));
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9 \n-]{0,14}$/), (text) => {
        assert.ok(parseExit(text) === undefined || /^\d{1,7} \d{1,3}\n$/.test(text));
      }),
    );
  });
  test("comes with the time at which it was written", () => {
    const path = write("exit", "7 3\n");
    fs.utimesSync(path, 1_700_000_000, 1_700_000_000);
    assert.deepEqual(readExitFile(path, 7), { code: 3, signal: null, at: 1_700_000_000_000 });
  });
  test("is nothing where it is another process's", () => {
    assert.equal(readExitFile(write("other", "8 3\n"), 7), undefined);
  });
  test("is not looked for behind a link, in a FIFO, or in a long file", () => {
    fs.symlinkSync(write("target", "7 0\n"), at("link"));
    assert.equal(readExitFile(at("link"), 7), undefined);
    assert.equal(readExitFile(write("long", "7 0\n7 0\n7 0\n7 0\n"), 7), undefined);
    assert.equal(readExitFile(directory, 7), undefined);
    assert.equal(readExitFile(at("nowhere"), 7), undefined);
    assert.equal(readExitFile(`${write("file", "7 0\n")}/x`, 7), undefined);
  });
  test("is there after a program has ended, whoever started it", async () => {
    const host = openHost();
    const exitFile = at("real");
    const request = { file: toHostPath("/bin/sh"), args: ["-c", "exit 7"], output: "/dev/null", exitFile };
    const child = await host.processes.spawn(request);
    await child.exited;
    host.processes.endSpawning();
    const exit = host.processes.exitOf(exitFile, child.pid);
    assert.deepEqual([exit?.code, exit?.signal], [7, null]);
  });
});
