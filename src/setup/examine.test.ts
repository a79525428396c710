import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { elfHead, fakeBinary, hostWithPath, tempDirectory } from "../../test/support/setup-binaries.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { examineBinary } from "./examine.ts";

const problemsOf = (path: HostPath) =>
  examineBinary(hostWithPath(), path, "x86_64").problems.map(({ kind, why }) => `${kind}: ${why}`);

test("what is no file is no binary: a directory, a path through a file, a link to itself", (t) => {
  const directory = tempDirectory(t);
  mkdirSync(`${directory}/firecracker`);
  symlinkSync(`${directory}/loop`, `${directory}/loop`);
  const file = fakeBinary(`${directory}/file`);
  const none = toHostPath(`${directory}/none`);
  const through = toHostPath(`${file}/firecracker`);
  const loop = toHostPath(`${directory}/loop`);
  const itself = toHostPath(`${directory}/firecracker`);
  assert.deepEqual(problemsOf(itself), [`missing: ${itself} is a directory, not a file`]);
  for (const path of [none, through, loop]) assert.deepEqual(problemsOf(path), [`missing: ${path} does not exist`]);
});

test("a path that can not be resolved for another reason is no missing binary", (t) => {
  const path = toHostPath(`${tempDirectory(t)}/${"x".repeat(300)}`);
  assert.throws(() => examineBinary(hostWithPath(), path, "x86_64"), { code: "ENAMETOOLONG" });
});

test("a program whose headers can't be read is not taken for a static one", (t) => {
  const path = toHostPath(`${tempDirectory(t)}/firecracker`);
  writeFileSync(path, elfHead({ offset: 1n << 40n }), { mode: 0o755 });
  const found = problemsOf(path).filter((problem) => problem.startsWith("not-static"));
  assert.deepEqual(found, [`not-static: ${path} may be dynamically linked: its headers are unusual`]);
});
