import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeBinary, fakePair, fakeVetDeps, hostWithPath, tempDirectory } from "../../test/support/setup-binaries.ts";
import { toHostPath } from "../vm/path.ts";
import { type FindRequest, findBinaries } from "./find.ts";

const { signal } = new AbortController();
const find = (request: FindRequest, searchPath?: string) =>
  findBinaries(hostWithPath(searchPath), request, fakeVetDeps(), signal);

test("one binary alone on PATH is passed over, and which one is said", async (t) => {
  const directory = tempDirectory(t);
  const cacheDirectory = toHostPath(`${directory}/cache`);
  const firecracker = fakeBinary(`${directory}/one/firecracker`);
  const jailer = fakeBinary(`${directory}/other/jailer`);
  const outcomes = async (path: string) => (await find({ cacheDirectory }, path)).tried.map(({ outcome }) => outcome);
  assert.equal((await outcomes(`${directory}/one`))[1], `${firecracker} without a jailer`);
  assert.equal((await outcomes(`${directory}/other`))[1], `${jailer} without Firecracker`);
});

test("a configured Firecracker without any jailer is refused", async (t) => {
  const directory = tempDirectory(t);
  const firecracker = fakeBinary(`${directory}/firecracker`);
  await assert.rejects(find({ cacheDirectory: directory, configured: { firecracker } }), {
    code: "binary-missing",
    message: new RegExp(`^looking for the jailer that goes with ${firecracker}: `),
  });
});

test("a caller that gave up is not told of binaries that were passed over", async (t) => {
  const directory = tempDirectory(t);
  fakePair(`${directory}/bin/v1.16.1`);
  const deps = { ...fakeVetDeps(), readVersion: () => Promise.reject(new Error("stopped")) };
  const request = { cacheDirectory: toHostPath(directory) };
  await assert.rejects(findBinaries(hostWithPath(), request, deps, AbortSignal.abort()), { name: "AbortError" });
});
