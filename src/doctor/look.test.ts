import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { contextOn } from "../../test/support/doctor-context.ts";
import { toHostPath } from "../vm/path.ts";
import { nearestExisting, openError, readIfThere, resolveAsWillBe, withScratch } from "./look.ts";

test("a scratch directory is gone afterwards, with all that was put into it", async (t) => {
  const { host, directory } = contextOn(t);
  const scratch = await withScratch(host, directory, async (path) => {
    writeFileSync(`${path}/file`, "");
    return path;
  });
  assert.ok(scratch.startsWith(directory));
  assert.deepEqual(readdirSync(directory), []);
});

test("a scratch directory is gone also where the work fails", async (t) => {
  const { host, directory } = contextOn(t);
  const fail = async (): Promise<never> => {
    throw new Error("no");
  };
  await assert.rejects(withScratch(host, directory, fail), /no/);
  assert.deepEqual(readdirSync(directory), []);
});

test("what a killed doctor left is removed, and nothing else", async (t) => {
  const { host, directory } = contextOn(t);
  const { pid, startTicks } = host.processes.self;
  const kept = [`.warder-doctor-${pid}-${startTicks}-77`, ".warder-doctor-notes", "vm-1"];
  for (const name of [...kept, `.warder-doctor-${pid}-1-1`])
    mkdirSync(`${directory}/${name}/deep`, { recursive: true });
  await withScratch(host, directory, async () => undefined);
  assert.deepEqual(readdirSync(directory).toSorted(), kept.toSorted());
});

test("a path is resolved as far as it is there", (t) => {
  const { host, directory } = contextOn(t);
  mkdirSync(`${directory}/disk`);
  symlinkSync(`${directory}/disk`, `${directory}/link`);
  const path = toHostPath(`${directory}/link/a/b`);
  assert.equal(nearestExisting(host, path), `${directory}/disk`);
  assert.equal(resolveAsWillBe(host, path), `${directory}/disk/a/b`);
  assert.equal(resolveAsWillBe(host, toHostPath("/not-there")), "/not-there");
});

test("what is not there reads as nothing, and does not open", (t) => {
  const { host, directory } = contextOn(t, { files: { file: "text\n" } });
  assert.equal(readIfThere(host, `${directory}/file`), "text");
  assert.equal(readIfThere(host, `${directory}/none`), undefined);
  assert.equal(openError(host, `${directory}/file`), undefined);
  assert.equal(openError(host, `${directory}/none`), "ENOENT");
  assert.ok(existsSync(`${directory}/file`));
});
