import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openHost } from "../../host/real/host.ts";
import { ensureSocketDir } from "./socket-dir.ts";

function lay(context: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), "warder-sockets-"));
  context.after(() => fs.rmSync(directory, { recursive: true }));
  return directory;
}

const host = openHost("");

test("the directory for sockets is made with those above it, for this process alone, and again without harm", (context) => {
  const path = `${lay(context)}/github.com/a/sockets`;
  for (let time = 0; time < 2; time++) ensureSocketDir(host, path);
  assert.equal(fs.statSync(path).mode & 0o777, 0o700);
});

test("what somebody else may have put there is refused", (context) => {
  const directory = lay(context);
  fs.mkdirSync(`${directory}/open`);
  fs.chmodSync(`${directory}/open`, 0o777);
  fs.symlinkSync("/etc", `${directory}/link`);
  fs.writeFileSync(`${directory}/file`, "");
  for (const name of ["open", "link", "file"]) {
    assert.throws(() => ensureSocketDir(host, `${directory}/${name}`), { code: "door-unusable" }, name);
  }
});
