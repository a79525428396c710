import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isWarderError } from "../vm/error.ts";
import { ExclusiveLock } from "./lock.ts";

const directory = fs.mkdtempSync(join(tmpdir(), "warder-lock-"));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

const holder = `
import { ExclusiveLock } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};
const lock = ExclusiveLock.take(process.argv[1]);
process.stdout.write(lock === undefined ? "refused" : "held");
setInterval(() => lock, 60_000);
`;

async function hold(path: string) {
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", holder, path];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [said] = await once(child.stdout, "data");
  return { child, said: String(said) };
}

describe("an exclusive lock", () => {
  test("is had once, in one process too, and again when it is given back", () => {
    const path = join(directory, "one");
    const first = ExclusiveLock.take(path);
    assert.ok(first !== undefined);
    assert.equal(ExclusiveLock.take(path), undefined);
    first.release();
    first.release();
    using second = ExclusiveLock.take(path);
    assert.ok(second !== undefined);
  });
  test("is had by one process, and comes back when that is killed", async () => {
    const path = join(directory, "two");
    const { child, said } = await hold(path);
    assert.equal(said, "held");
    assert.equal(ExclusiveLock.take(path), undefined);
    child.kill("SIGKILL");
    await once(child, "exit");
    using lock = ExclusiveLock.take(path);
    assert.ok(lock !== undefined);
    const other = await hold(path);
    assert.equal(other.said, "refused");
    other.child.kill("SIGKILL");
  });
  test("in a directory that is not there is refused with the reason", () => {
    assert.throws(
      () => ExclusiveLock.take("/nowhere/lock"),
      (error) => isWarderError(error) && error.code === "store-failed" && /\/nowhere\/lock/.test(error.message),
    );
  });
});
