import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { jailerAvailable, jailerConfig } from "../../src/index.ts";
import { findJailer } from "../../src/simple/jailer-available.ts";

/** Where a jailer of the machine's own would be found, whatever `PATH` is. */
const installed = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].find((directory) =>
  existsSync(`${directory}/jailer`),
);

/** A directory that is the only one on `PATH` until the test ends. */
function onlyOnPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "warder-simple-"));
  const { PATH } = process.env;
  process.env.PATH = directory;
  t.after(() => {
    if (PATH === undefined) delete process.env.PATH;
    else process.env.PATH = PATH;
    rmSync(directory, { recursive: true });
  });
  return directory;
}

function writeProgram(path: string, mode = 0o755): void {
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, mode);
}

describe("jailerAvailable()", () => {
  test("finds a jailer that is only on PATH", (t) => {
    writeProgram(join(onlyOnPath(t), "jailer"));
    assert.equal(jailerAvailable(), true);
  });

  test("finds none where there is none", (t) => {
    onlyOnPath(t);
    assert.equal(jailerAvailable(), installed !== undefined);
  });

  test("does not take for one what can not be run, or is a directory", (t) => {
    const directory = onlyOnPath(t);
    writeProgram(join(directory, "jailer"), 0o644);
    assert.equal(jailerAvailable(), installed !== undefined);
    rmSync(join(directory, "jailer"));
    mkdirSync(join(directory, "jailer"));
    assert.equal(jailerAvailable(), installed !== undefined);
  });

  test("never throws, whatever the environment is", (t) => {
    onlyOnPath(t);
    for (const path of ["", ":", "relative:./here", "/nowhere", "/proc/self/mem:/dev/null"]) {
      process.env.PATH = path;
      assert.equal(jailerAvailable(), installed !== undefined, path);
    }
    process.env.WARDER_UID_RANGE = "nonsense";
    t.after(() => delete process.env.WARDER_UID_RANGE);
    assert.equal(jailerAvailable(), false);
  });
});

describe("the jailer of a configuration", () => {
  test("is the one that is named", (t) => {
    const directory = onlyOnPath(t);
    writeProgram(join(directory, "jailer"));
    writeProgram(join(directory, "jailer-v1.14.1"));
    const jailerBinary = join(directory, "jailer-v1.14.1");
    assert.equal(findJailer(jailerConfig("vm-1", { jailerBinary })), jailerBinary);
  });

  test("is the one on PATH where the usual place is empty", (t) => {
    const directory = onlyOnPath(t);
    writeProgram(join(directory, "jailer"));
    const usual = "/usr/local/bin/jailer";
    assert.equal(findJailer(jailerConfig("vm-1")), existsSync(usual) ? usual : join(directory, "jailer"));
  });

  test("is no other than the one that is named", (t) => {
    writeProgram(join(onlyOnPath(t), "jailer"));
    assert.equal(findJailer(jailerConfig("vm-1", { jailerBinary: "/nowhere/jailer" })), undefined);
  });
});
