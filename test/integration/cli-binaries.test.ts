/** The commands about Firecracker and its jailer, in this process, with fakes of both. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { installFakes } from "../../src/testing/index.ts";
import { requires } from "../support/capability.ts";
import { warder } from "../support/fake-terminal.ts";

/** Fakes of a release, and an empty cache. */
async function place(t: TestContext, version: string) {
  const directory = mkdtempSync("/var/tmp/warder-cli-binaries-");
  chmodSync(directory, 0o755);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { firecracker, jailer } = await installFakes({ directory, version });
  return { firecracker, jailer, flags: ["--firecracker", firecracker, "--jailer", jailer], directory };
}

describe("warder version", requires("root"), () => {
  it("tells what Warder runs on, and where it was found", async (t) => {
    const { firecracker, jailer, flags } = await place(t, "1.16.1");
    const { status, stdout } = await warder("version", ...flags);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^node +${process.versions.node} \\(${process.execPath}\\)$`, "m"));
    assert.match(stdout, new RegExp(`^firecracker +1\\.16\\.1 \\(configured: ${firecracker}\\)$`, "m"));
    const { firecracker: found } = JSON.parse((await warder("version", "--json", ...flags)).stdout);
    assert.deepEqual(found, { version: "1.16.1", firecracker, jailer, source: "configured" });
  });

  it("tells why there is no Firecracker, and the rest all the same", async (t) => {
    const { directory } = await place(t, "1.16.1");
    const nothing = await warder("version", "--json", "--set", `cache_dir=${directory}/none`);
    assert.equal(nothing.status, 0);
    const { firecracker, node } = JSON.parse(nothing.stdout);
    assert.match(firecracker.missing, /^configured: none was named; path: .*; cache: none in /);
    assert.equal(node, process.versions.node);
    const wrong = await warder("version", "--firecracker", `${directory}/none`, "--jailer", `${directory}/jailer`);
    assert.match(wrong.stdout, /^firecracker +looking at .*\/none: .* does not exist/m);
  });
});

describe("warder setup", requires("root"), () => {
  it("takes the pair that is configured, and says so", async (t) => {
    const { firecracker, jailer, flags } = await place(t, "1.16.1");
    const { status, stdout, stderr } = await warder("setup", ...flags);
    assert.equal(status, 0);
    assert.equal(stderr, "");
    assert.match(stdout, new RegExp(`^firecracker +${firecracker}\\njailer +${jailer}\\nversion +1\\.16\\.1\\n`));
    assert.match(stdout, /^source +configured: they were named in the settings$/m);
    assert.equal(JSON.parse((await warder("setup", "--json", ...flags)).stdout).source, "configured");
  });

  it("warns of a release that is good for tests only", async (t) => {
    const { flags } = await place(t, "1.12.1");
    const { status, stderr } = await warder("setup", "--allow-test-binaries", ...flags);
    assert.equal(status, 0);
    assert.match(stderr, /^warder: warning: 1\.12\.1 is out of support upstream.*for tests, not for production$/m);
  });

  it("takes nothing else where a file was named that is not there", async (t) => {
    const { directory, flags } = await place(t, "1.16.1");
    const { status, stderr } = await warder("setup", ...flags, "--release", "1.15.1", "--from", `${directory}/none`);
    assert.equal(status, 1);
    assert.match(stderr, /installing Firecracker from .*\/none: it does not exist \[binary-missing\]/);
  });

  it("refuses what makes no sense, all at once", async () => {
    const { status, stderr } = await warder("setup", "--release", "newest", "--sha256", "0".repeat(64));
    assert.equal(status, 2);
    assert.match(stderr, /--sha256: needs --from$/m);
    assert.match(stderr, /--release: must be a version such as 1\.16\.1, not "newest"$/m);
  });
});

describe("warder run", requires("root"), () => {
  it("limits block devices only, and refuses what is none or not there", async () => {
    const limits = ["/dev/none:rbps=1M", "/dev/null:rbps=1M", "8:0:rbps=1M"].flatMap((each) => ["--io", each]);
    const { status, stderr } = await warder("run", "--probe", ...limits);
    assert.equal(status, 2);
    assert.match(stderr, /--io: \/dev\/none is not there$/m);
    assert.match(stderr, /--io: \/dev\/null is not a block device$/m);
    assert.doesNotMatch(stderr, /8:0/);
  });
});
