import assert from "node:assert/strict";
import { chmodSync, symlinkSync } from "node:fs";
import { test } from "node:test";
import { toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";
import { fakeBinary, fakePair } from "../support/setup-binaries.ts";
import { ANYBODY, Machine } from "../support/setup-machine.ts";

const root = requires("root");

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
