import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { test } from "node:test";
import { fakeBinary, fakePair, hostWithPath, tempDirectory } from "../../test/support/setup-binaries.ts";
import { toHostPath } from "../vm/path.ts";
import { cachedVersions, firecrackerFor, jailerFor, pairsBelow } from "./candidates.ts";

test("cached versions come newest first, and other names are no versions", (t) => {
  const cache = tempDirectory(t);
  for (const name of ["v1.9.0", "v1.16.1", "v1.14.1", "notes", ".new-1-2-3"])
    mkdirSync(`${cache}/bin/${name}`, { recursive: true });
  assert.deepEqual(cachedVersions(hostWithPath(), cache), ["1.16.1", "1.14.1", "1.9.0"]);
});

test("a cache that is not there holds no versions", (t) => {
  assert.deepEqual(cachedVersions(hostWithPath(), toHostPath(`${tempDirectory(t)}/none`)), []);
});

test("a cache that is a file holds no versions, and one that can't be looked into is an error", (t) => {
  const directory = tempDirectory(t);
  fakeBinary(`${directory}/bin`);
  assert.deepEqual(cachedVersions(hostWithPath(), directory), []);
  const tooLong = toHostPath(`${directory}/${"x".repeat(300)}`);
  assert.throws(() => cachedVersions(hostWithPath(), tooLong), { code: "ENAMETOOLONG" });
});

test("the jailer beside a versioned Firecracker has the same suffix", (t) => {
  const directory = tempDirectory(t);
  fakePair(directory, "1.16.1");
  const { firecracker, jailer } = fakePair(directory, "1.14.1", "-v1.14.1");
  assert.equal(jailerFor(hostWithPath(), firecracker), jailer);
  assert.equal(firecrackerFor(hostWithPath(), jailer), firecracker);
});

test("a plain jailer goes with a versioned Firecracker where there is no versioned one", (t) => {
  const directory = tempDirectory(t);
  const firecracker = fakeBinary(`${directory}/firecracker-v1.14.1`);
  const jailer = fakeBinary(`${directory}/jailer`);
  assert.equal(jailerFor(hostWithPath(), firecracker), jailer);
});

test("a lone Firecracker gets the jailer from PATH, or none", (t) => {
  const directory = tempDirectory(t);
  const firecracker = fakeBinary(`${directory}/here/firecracker`);
  const { jailer } = fakePair(`${directory}/path`);
  assert.equal(jailerFor(hostWithPath(`${directory}/path`), firecracker), jailer);
  assert.equal(jailerFor(hostWithPath(), firecracker), undefined);
});

test("pairs are found below a directory under plain and under release names", (t) => {
  const directory = tempDirectory(t);
  const plain = fakePair(`${directory}/a/bin`);
  const release = fakePair(`${directory}/b`, "1.16.1", "-v1.16.1-x86_64");
  fakeBinary(`${directory}/c/firecracker`);
  fakeBinary(`${directory}/c/firecracker-v1.16.1-x86_64.debug`);
  assert.deepEqual(pairsBelow(hostWithPath(), directory), [plain, release]);
});

test("no link is followed in the search for pairs", (t) => {
  const directory = tempDirectory(t);
  fakePair(`${directory}/elsewhere`);
  mkdirSync(`${directory}/here`);
  symlinkSync(`${directory}/elsewhere`, `${directory}/here/link`);
  assert.deepEqual(pairsBelow(hostWithPath(), toHostPath(`${directory}/here`)), []);
});
