import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { rememberBinaries } from "../../src/lifecycle/binaries.ts";
import { installFakes } from "../../src/testing/index.ts";
import { toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";
import { hostWithPath } from "../support/setup-binaries.ts";

const { signal } = new AbortController();

function directory(t: TestContext): string {
  const path = mkdtempSync("/var/tmp/warder-binaries-");
  chmodSync(path, 0o755);
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe("the binaries of a start", requires("root"), () => {
  it("are looked at again when either file is another one, or is gone", async (t) => {
    const top = directory(t);
    const fakes = await installFakes({ directory: top, version: "1.16.1" });
    const [firecracker, jailer] = [toHostPath(fakes.firecracker), toHostPath(fakes.jailer)];
    const settings = { firecracker, jailer, cacheDir: toHostPath(`${top}/cache`), allowTestBinaries: false };
    const find = rememberBinaries(hostWithPath(), settings);
    assert.deepEqual(await find({ jailed: true, signal }), { firecracker, jailer, version: "1.16.1" });
    chmodSync(jailer, 0o777);
    await assert.rejects(find({ jailed: true, signal }), { code: "binary-unfit", message: /writable by others/ });
    chmodSync(jailer, 0o755);
    await find({ jailed: true, signal });
    renameSync(jailer, `${jailer}.old`);
    await assert.rejects(find({ jailed: true, signal }), { code: "binary-missing" });
  });

  it("need no jailer for a VM without one, beside a Firecracker that was named", async (t) => {
    const top = directory(t);
    const fakes = await installFakes({ directory: top, version: "1.16.1" });
    rmSync(fakes.jailer);
    const firecracker = toHostPath(fakes.firecracker);
    const settings = { firecracker, cacheDir: toHostPath(`${top}/cache`), allowTestBinaries: false };
    const find = rememberBinaries(hostWithPath(), settings);
    assert.deepEqual(await find({ jailed: false, signal }), { firecracker, version: "1.16.1" });
    await assert.rejects(find({ jailed: true, signal }), { code: "binary-missing" });
  });

  it("are missing, with all that was tried, where there are none", async (t) => {
    const settings = { cacheDir: toHostPath(`${directory(t)}/cache`), allowTestBinaries: false };
    const find = rememberBinaries(hostWithPath(), settings);
    await assert.rejects(find({ jailed: true, signal }), {
      code: "binary-missing",
      message: /configured: none was named; path: neither is on PATH; cache: none in .*Run `warder setup`/,
    });
  });
});
