import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openHost } from "./host.ts";

const { files } = openHost();

function scratch(t: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), "warder-streams-"));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  return directory;
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

test("a stream becomes a new file for its owner alone", async (t) => {
  const path = `${scratch(t)}/new`;
  await files.writeStream(path, pieces("one ", "two"), new AbortController().signal);
  assert.equal(fs.readFileSync(path, "utf8"), "one two");
  assert.equal(fs.statSync(path).mode & 0o777, 0o600);
  await assert.rejects(files.writeStream(path, pieces("x"), new AbortController().signal), { code: "EEXIST" });
});

test("a stream that fails or is given up fails the writing", async (t) => {
  const directory = scratch(t);
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("x");
    throw new Error("the source broke");
  }
  const { signal } = new AbortController();
  await assert.rejects(files.writeStream(`${directory}/a`, failing(), signal), /the source broke/);
  await assert.rejects(files.writeStream(`${directory}/b`, pieces("x"), AbortSignal.abort()), { name: "AbortError" });
});

test("a file that is held open stays the same one, whatever becomes of its name", (t) => {
  const directory = scratch(t);
  fs.writeFileSync(`${directory}/file`, "0123456789");
  const reader = files.openReader(`${directory}/file`);
  t.after(() => reader.close());
  assert.equal(reader.inode, fs.statSync(`${directory}/file`).ino);
  fs.renameSync(`${directory}/file`, `${directory}/other`);
  fs.writeFileSync(`${directory}/file`, "x");
  fs.appendFileSync(`${directory}/other`, "ab");
  const slice = (offset: number, bytes: number) => Buffer.from(reader.read(offset, bytes)).toString();
  assert.deepEqual([slice(2, 3), slice(8, 9), slice(12, 1)], ["234", "89ab", ""]);
});

test("no link is followed to a file that is held open", (t) => {
  const directory = scratch(t);
  fs.writeFileSync(`${directory}/file`, "");
  fs.symlinkSync("file", `${directory}/link`);
  assert.throws(() => files.openReader(`${directory}/link`), { code: "ELOOP" });
});
