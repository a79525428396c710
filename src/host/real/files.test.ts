import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { requires } from "../../../test/support/capability.ts";
import { openHost } from "./host.ts";

const { files, fifos } = openHost();

function directory(t: TestContext): string {
  const path = fs.mkdtempSync(join(tmpdir(), "warder-files-"));
  t.after(() => fs.rmSync(path, { recursive: true, force: true }));
  return path;
}

test("a socket and a FIFO are told from files", async (t) => {
  const top = directory(t);
  const server = createServer().listen(`${top}/socket`);
  t.after(() => server.close());
  await once(server, "listening");
  await fifos.make([`${top}/fifo`]);
  assert.deepEqual([files.inspect(`${top}/socket`)?.kind, files.inspect(`${top}/fifo`)?.kind], ["socket", "fifo"]);
});

test("a file of any size is read to its end, or to the limit", (t) => {
  const path = `${directory(t)}/file`;
  const text = "0123456789".repeat(30_000);
  fs.writeFileSync(path, text);
  assert.equal(files.readText(path, 1_000_000), text);
  assert.equal(files.readText(path, 200_001), text.slice(0, 200_001));
  assert.equal(files.readText(path, 64 * 1024), text.slice(0, 64 * 1024));
});

test("a new file belongs to whom it is made for", requires("root"), (t) => {
  const path = `${directory(t)}/file`;
  files.writeText(path, "text", { mode: 0o640, uid: 12, gid: 34 });
  const { uid, gid, mode } = fs.statSync(path);
  assert.deepEqual([uid, gid, mode & 0o777], [12, 34, 0o640]);
});

test("a file that can not be made whole is not left half made", (t) => {
  const top = directory(t);
  const nobody = { mode: 0o600, uid: 2 ** 40, gid: 0 };
  assert.throws(() => files.writeText(`${top}/new`, "text", nobody), RangeError);
  fs.writeFileSync(`${top}/old`, "before");
  assert.throws(() => files.writeText(`${top}/old`, "text", { ...nobody, replace: true }), RangeError);
  assert.deepEqual(fs.readdirSync(top), ["old"]);
  assert.equal(fs.readFileSync(`${top}/old`, "utf8"), "before");
});

test("what the kernel says against a control file is told, at once or aside", async () => {
  assert.throws(() => files.writeControl("/dev/full", "1"), { code: "ENOSPC" });
  await assert.rejects(files.writeControlAside("/dev/full", "1"), { code: "ENOSPC" });
});

test("a directory with something in it is not removed", async (t) => {
  const top = directory(t);
  fs.mkdirSync(`${top}/full/sub`, { recursive: true });
  await assert.rejects(files.removeDirectory(`${top}/full`), { code: "ENOTEMPTY" });
  assert.throws(() => files.removeFile(`${top}/full`), { code: /EISDIR|EPERM/ });
  assert.equal(await files.removeDirectory(`${top}/full/sub`), true);
});

test("a directory can be watched until it is enough", async (t) => {
  const top = directory(t);
  const seen = Promise.withResolvers<string>();
  const watch = new AbortController();
  files.watch(top, (name) => seen.resolve(name), watch.signal);
  fs.writeFileSync(`${top}/new`, "");
  assert.equal(await seen.promise, "new");
  watch.abort();
});

test("a FIFO without a reader is no error, and one that is not there is", async (t) => {
  const top = directory(t);
  await fifos.make([`${top}/fifo`]);
  fifos.setOwnership(`${top}/fifo`, { mode: 0o620 });
  assert.equal(fs.statSync(`${top}/fifo`).mode & 0o777, 0o620);
  assert.equal(fifos.openWriter(`${top}/fifo`), undefined);
  assert.throws(() => fifos.openWriter(`${top}/none`), { code: "ENOENT" });
});
