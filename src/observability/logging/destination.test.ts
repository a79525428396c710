import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isWarderError } from "../../vm/error.ts";
import { openLogDestination } from "./destination.ts";

describe("the writing end of a log", () => {
  let directory = "";
  before(() => {
    directory = fs.mkdtempSync(join(tmpdir(), "warder-log-"));
  });
  after(() => fs.rmSync(directory, { recursive: true }));

  test("appends to a file that only its owner can write and only its group can read", async () => {
    const file = join(directory, "a.log");
    for (const line of ["one\n", "two\n"]) {
      const log = await openLogDestination({ file });
      log.write(line);
      await log.close();
    }
    assert.equal(fs.readFileSync(file, "utf8"), "one\ntwo\n");
    assert.equal(fs.statSync(file).mode & 0o777 & ~0o640, 0);
  });

  test("is refused where the file can not be, before anything runs", async () => {
    await assert.rejects(
      openLogDestination({ file: join(directory, "missing/a.log") }),
      (error) => isWarderError(error) && error.code === "invalid-config" && error.cure !== undefined,
    );
  });

  test("goes on in a new file after a rotation", async () => {
    const file = join(directory, "rotated.log");
    const log = await openLogDestination({ file });
    log.write("before\n");
    while (fs.readFileSync(file, "utf8") === "") await new Promise(setImmediate);
    fs.renameSync(file, `${file}.1`);
    log.reopen();
    log.write("after\n");
    await log.close();
    assert.equal(fs.readFileSync(`${file}.1`, "utf8"), "before\n");
    assert.equal(fs.readFileSync(file, "utf8"), "after\n");
  });

  test("drops and counts lines where nothing is written, and is closed all the same", { timeout: 20_000 }, async () => {
    const log = await openLogDestination({ file: "/dev/full" }, 1000);
    for (let line = 0; line < 100; line++) log.write(`${"x".repeat(99)}\n`);
    assert.ok(log.droppedLines >= 89, `${log.droppedLines} lines`);
    await log.close();
    assert.match(String(log.problem), /ENOSPC/);
    log.write("too late\n");
    log.reopen();
    await log.close();
  });

  test("outlives the reader of its stream", { timeout: 20_000 }, async () => {
    const program = `
      import { openLogDestination } from ${JSON.stringify(join(import.meta.dirname, "destination.ts"))};
      const log = await openLogDestination("stdout");
      log.reopen();
      log.write("first\\n");
      process.stdin.on("data", async () => {
        log.write("nobody reads this\\n");
        while (log.problem === undefined) await new Promise(setImmediate);
        log.write("nor this\\n");
        await log.close();
        process.stderr.write(log.problem.code);
        process.exit(0);
      });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["pipe", "pipe", "pipe"] });
    const [first] = await once(child.stdout, "data");
    assert.equal(String(first), "first\n");
    child.stdout.destroy();
    await once(child.stdout, "close");
    let told = "";
    child.stderr.on("data", (chunk) => {
      told += String(chunk);
    });
    child.stdin.write("go\n");
    const [code] = await once(child, "close");
    assert.deepEqual([code, told], [0, "EPIPE"]);
  });
});
