import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureBinaries, type SetupDeps } from "../../src/setup/setup.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { fakeVetDeps, hostWithPath, run, tempDirectory, writeStream } from "../support/setup-binaries.ts";

const NO_RELEASES = "http://127.0.0.1:9";

/** Runs the real binaries to ask for their version. */
const deps: SetupDeps = {
  ...fakeVetDeps(),
  readVersion: async (binary) => / v(\d+\.\d+\.\d+)/.exec(run(binary, ["--version"]))?.[1] ?? "none",
  releasesUrl: NO_RELEASES,
  writeStream,
};

test("real binaries come from the package for tests where no release can be had", requires("root"), async (t) => {
  const request = { cacheDirectory: tempDirectory(t), allowTestBinaries: true };
  const { signal } = new AbortController();
  const outcome = await ensureBinaries(hostWithPath(), request, deps, { signal }).catch((error: unknown) => error);
  if (isWarderError(outcome) && outcome.code === "download-failed")
    return t.skip(`needs a package index: ${outcome.why}`);
  const found = outcome as Awaited<ReturnType<typeof ensureBinaries>>;
  assert.deepEqual([found.source, found.version], ["test-package", "1.12.1"]);
  assert.match(found.testOnly ?? "", /out of support upstream/);
  assert.match(run(found.firecracker, ["--version"]), /^Firecracker v1\.12\.1/);
  assert.equal((await ensureBinaries(hostWithPath(), request, deps, { signal })).source, "cache");
});
