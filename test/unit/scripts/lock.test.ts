import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

const SCRIPT = join(import.meta.dirname, "../../../scripts/lock.ts");

/** A directory with a lock of the given packages, and the script to run there. */
function lock(t: TestContext, packages: Record<string, object>) {
  const directory = mkdtempSync(join(tmpdir(), "warder-lock-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "package-lock.json");
  writeFileSync(path, JSON.stringify({ name: "warder", lockfileVersion: 3, packages }));
  return {
    run(...args: string[]) {
      const argv = ["--disable-warning=ExperimentalWarning", SCRIPT, ...args];
      const { status, stderr } = spawnSync(process.execPath, argv, { cwd: directory, encoding: "utf8" });
      return { status, stderr };
    },
    read: () => JSON.parse(readFileSync(path, "utf8")) as { packages: Record<string, object> },
  };
}

const tool = (names: readonly string[], more: object = {}) => ({
  "": { name: "warder" },
  "node_modules/tool": {
    version: "1.2.3",
    ...more,
    optionalDependencies: Object.fromEntries(names.map((name) => [name, "1.2.3"])),
  },
});

describe("scripts/lock.ts", () => {
  it("is content with a lock that has all packages", (t) => {
    const { run } = lock(t, { ...tool(["tool-linux-x64"]), "node_modules/tool-linux-x64": { version: "1.2.3" } });
    assert.deepEqual(run("--check"), { status: 0, stderr: "" });
  });

  it("is content with an optional package that lies in the one that names it", (t) => {
    const inside = { "node_modules/tool/node_modules/colors": { version: "1.2.3" } };
    const { run } = lock(t, { ...tool(["colors"]), ...inside });
    assert.equal(run("--check").status, 0);
  });

  it("refuses a lock that lacks another platform's package, and adds it with what it is for", (t) => {
    const names = ["@tool/cli-linux-arm64-musl", "@tool/cli-linux-x64-gnu", "tool-darwin-aarch64", "tool-linux-armv7"];
    const { run, read } = lock(t, tool(names, { dev: true }));
    const { status, stderr } = run("--check");
    assert.equal(status, 1);
    assert.match(stderr, /^package-lock\.json lacks node_modules\/@tool\/cli-linux-arm64-musl$/m);
    assert.match(stderr, /run `npm run lock`$/m);
    assert.equal(run().status, 0);
    const same = { version: "1.2.3", dev: true, optional: true };
    const { "": _, "node_modules/tool": __, ...added } = read().packages;
    assert.deepEqual(added, {
      "node_modules/@tool/cli-linux-arm64-musl": { ...same, os: ["linux"], cpu: ["arm64"], libc: ["musl"] },
      "node_modules/@tool/cli-linux-x64-gnu": { ...same, os: ["linux"], cpu: ["x64"], libc: ["glibc"] },
      "node_modules/tool-darwin-aarch64": { ...same, os: ["darwin"], cpu: ["arm64"] },
      "node_modules/tool-linux-armv7": { ...same, os: ["linux"], cpu: ["arm"] },
    });
    assert.equal(run("--check").status, 0);
  });

  it("refuses a lock that says where a package came from, and takes that out", (t) => {
    const resolved = "https://registry.example/tool/-/tool-1.2.3.tgz";
    const { run, read } = lock(t, tool([], { resolved, integrity: "sha512-x" }));
    assert.match(run("--check").stderr, /says where node_modules\/tool came from/);
    assert.equal(run().status, 0);
    assert.deepEqual(read().packages["node_modules/tool"], {
      version: "1.2.3",
      integrity: "sha512-x",
      optionalDependencies: {},
    });
  });

  it("does not guess what a name or a version does not say", (t) => {
    const { run } = lock(t, tool(["mystery"]));
    assert.match(run().stderr, /lacks mystery, and its name does not say what platform it is for/);
    const optionalDependencies = { "tool-linux-x64": "^1.0.0" };
    const range = lock(t, { "node_modules/tool": { version: "1.2.3", optionalDependencies } });
    assert.match(range.run("--check").stderr, /lacks tool-linux-x64, and "\^1\.0\.0" does not say which version/);
  });
});
