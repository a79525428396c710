import assert from "node:assert/strict";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { chooseVersion } from "../../src/cgroup/choose.ts";
import { type Controller, v1Name } from "../../src/cgroup/controllers.ts";
import { detectCgroups, v1HierarchyOf } from "../../src/cgroup/detect.ts";
import { doctorCodes } from "../../src/doctor/catalogue.ts";
import type { DoctorDeps, DoctorSettings } from "../../src/doctor/check.ts";
import { settingsOn } from "../../src/doctor/context.test.ts";
import { runDoctor } from "../../src/doctor/doctor.ts";
import type { Finding } from "../../src/doctor/report.ts";
import { openHost } from "../../src/host/real/host.ts";
import { directoryProblems, examineBinary } from "../../src/setup/examine.ts";
import { fakeBinary, fakePair, fakeVetDeps, run } from "../../src/setup/fixtures.test.ts";
import { supportOf } from "../../src/setup/version.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";

const root = requires("root");
const ANYBODY = 65_533;
const host = openHost(process.env.PATH);
const cgroups = detectCgroups(host);

/** The other rooms as they are, but for the versions of binaries, which are fakes. */
const deps: DoctorDeps = {
  examineBinary: (path) => examineBinary(host, path, "x86_64"),
  readVersion: fakeVetDeps().readVersion,
  supportOf,
  directoryProblems: (directory) => directoryProblems(host, directory),
  cgroups: {
    choose: (controllers) => chooseVersion(cgroups, controllers),
    mounts: (version, controllers) => cgroupMounts(version, controllers),
    checkParent: () => undefined,
  },
};

function cgroupMounts(version: 1 | 2, controllers: readonly Controller[]): HostPath[] {
  const hierarchies = version === 2 ? [cgroups.v2] : controllers.map((each) => v1HierarchyOf(cgroups, v1Name(each)));
  return [...new Set(hierarchies.flatMap((each) => each?.directory ?? []))];
}

/** What the doctor finds on this machine with these settings, by code. */
async function examine(settings: DoctorSettings): Promise<Record<string, Finding>> {
  const { findings } = await runDoctor(host, settings, deps, { signal: new AbortController().signal });
  return Object.fromEntries(findings.map((finding) => [finding.code, finding]));
}

/** A directory with a good pair of binaries in it, and what is mounted below. Gone when the test ends. */
class Place {
  readonly directory: HostPath;
  readonly settings: DoctorSettings;
  readonly #mounts: string[] = [];

  constructor(t: TestContext) {
    this.directory = toHostPath(mkdtempSync(join(tmpdir(), "warder-doctor-")));
    this.settings = settingsOn(this.directory);
    fakePair(this.directory);
    t.after(() => {
      for (const path of this.#mounts) run("umount", [path]);
      rmSync(this.directory, { recursive: true });
    });
  }

  makeBase(): void {
    mkdirSync(this.settings.chrootBase, { recursive: true });
  }

  /** Mounts the base, by default as a file system in memory. */
  mountBase(options: string, how: readonly string[] = ["-t", "tmpfs", "tmpfs"]): void {
    this.makeBase();
    run("mount", ["-o", options, ...how, this.settings.chrootBase]);
    this.#mounts.push(this.settings.chrootBase);
  }
}

/** What this process's doctor could have left behind. */
function traces({ chrootBase }: DoctorSettings): string[] {
  const mounts = [...cgroups.v1, ...(cgroups.v2 === undefined ? [] : [cgroups.v2])].map(({ directory }) => directory);
  const names = [chrootBase, ...mounts].flatMap((path) => readdirSync(path));
  return names.filter((name) => name.includes(`warder-doctor-${process.pid}`));
}

test("a good host is found good, and nothing is left behind", requires("root", "netns"), async (t) => {
  const place = new Place(t);
  place.makeBase();
  const found = await examine(place.settings);
  assert.deepEqual(Object.keys(found), [...doctorCodes]);
  for (const code of [
    "root",
    "capabilities",
    "chroot-base",
    "chroot-base-mount",
    "binaries-static",
    "binaries-owner",
  ]) {
    assert.equal(found[code]?.status, "ok", `${code}: ${found[code]?.found}`);
  }
  for (const code of ["binaries-version-match", "binaries-supported", "socket-path-length", "uid-range", "netns"]) {
    assert.equal(found[code]?.status, "ok", `${code}: ${found[code]?.found}`);
  }
  assert.deepEqual(readdirSync(place.settings.chrootBase), []);
  assert.deepEqual(traces(place.settings), []);
});

for (const capability of ["cgroup-v1", "cgroup-v2"] as const) {
  test(`where there is ${capability}, a cgroup can be made`, requires("root", capability), async (t) => {
    const found = await examine(new Place(t).settings);
    assert.equal(found["cgroup-version"]?.status, "ok");
    assert.equal(found["cgroup-writable"]?.status, "ok");
  });
}

test("a base mounted nodev is found by a device that does not open", root, async (t) => {
  const place = new Place(t);
  const { settings } = place;
  place.mountBase("nodev,mode=755");
  const finding = (await examine(settings))["chroot-base-mount"];
  assert.equal(finding?.status, "problem");
  assert.match(finding?.found ?? "", /no device node can be opened \(EACCES\), as on a mount with nodev$/);
  assert.match(finding?.cure ?? "", /remount,dev,exec/);
  assert.deepEqual(traces(settings), []);
});

test("a base mounted noexec is found by a program that does not run", root, async (t) => {
  const place = new Place(t);
  const { settings } = place;
  place.mountBase("noexec,mode=755");
  const finding = (await examine(settings))["chroot-base-mount"];
  assert.equal(finding?.status, "problem");
  assert.match(finding?.found ?? "", /no program can be run: .*Permission denied/);
  assert.doesNotMatch(finding?.found ?? "", /device/);
  assert.deepEqual(traces(settings), []);
});

test("a base mounted both is found with both faults", root, async (t) => {
  const place = new Place(t);
  const { settings } = place;
  place.mountBase("nodev,noexec,mode=755");
  assert.match((await examine(settings))["chroot-base-mount"]?.found ?? "", /device node.*, and no program/);
});

test("a base mounted read-only is a problem, not a crash", root, async (t) => {
  const place = new Place(t);
  const { settings } = place;
  place.mountBase("ro,mode=755");
  const finding = (await examine(settings))["chroot-base-mount"];
  assert.equal(finding?.status, "problem");
  assert.match(finding?.found ?? "", /it could not be checked: .*EROFS/);
});

test("a small base has little room, and a full one none", root, async (t) => {
  const place = new Place(t);
  const { settings } = place;
  place.mountBase("size=100m,mode=755");
  assert.equal((await examine(settings))["chroot-base-space"]?.status, "warning");
  writeFileSync(`${settings.chrootBase}/ballast`, Buffer.alloc(80 * 1024 * 1024));
  assert.equal((await examine(settings))["chroot-base-space"]?.status, "problem");
});

test("assets on another mount of the same file system are found to be apart, too", root, async (t) => {
  const place = new Place(t);
  const { directory, settings } = place;
  const asset = toHostPath(`${directory}/images/vmlinux`);
  mkdirSync(`${directory}/images`);
  writeFileSync(asset, "kernel");
  place.makeBase();
  const together = await examine({ ...settings, assets: [asset] });
  assert.equal(together["chroot-same-filesystem"]?.status, "ok");
  assert.equal(lstatSync(asset).nlink, 1);
  place.mountBase("bind", [settings.chrootBase]);
  const apart = await examine({ ...settings, assets: [asset] });
  assert.equal(apart["chroot-same-filesystem"]?.status, "warning");
  assert.equal(apart["chroot-same-filesystem"]?.found, `on another mount: ${asset}`);
});

test("a base that the jail user owns is a problem, whatever older guides say", root, async (t) => {
  const place = new Place(t);
  const { settings } = place;
  place.makeBase();
  run("chown", [`${ANYBODY}:${ANYBODY}`, settings.chrootBase]);
  const finding = (await examine(settings))["chroot-base"];
  assert.equal(finding?.status, "problem");
  assert.match(finding?.found ?? "", /belongs to user 65533, not to root/);
});

for (const { what, code, options, found } of [
  {
    what: "a dynamic Firecracker",
    code: "binaries-static",
    options: { segments: [3, 1] },
    found: /is dynamically linked/,
  },
  {
    what: "a Firecracker of a user's",
    code: "binaries-owner",
    options: { uid: ANYBODY },
    found: /belongs to user 65533/,
  },
  { what: "a Firecracker that all may write", code: "binaries-owner", options: { mode: 0o757 }, found: /mode 757/ },
  {
    what: "a Firecracker for another machine",
    code: "firecracker-binary",
    options: { machine: 183 },
    found: /is for aarch64/,
  },
  {
    what: "a Firecracker that may not be run",
    code: "firecracker-binary",
    options: { mode: 0o644 },
    found: /is not executable/,
  },
  {
    what: "a Firecracker of another version",
    code: "binaries-version-match",
    options: { version: "1.15.1" },
    found: /Firecracker is 1\.15\.1 and the jailer is 1\.16\.1/,
  },
] as const) {
  test(`${what} is ${code}'s problem`, root, async (t) => {
    const place = new Place(t);
    const { directory, settings } = place;
    fakeBinary(`${directory}/firecracker`, options);
    const finding = (await examine(settings))[code];
    assert.equal(finding?.status, "problem");
    assert.match(finding?.found ?? "", found);
  });
}

test("a script and a missing file are no binaries", root, async (t) => {
  const place = new Place(t);
  const { directory, settings } = place;
  writeFileSync(`${directory}/firecracker`, `#!/bin/sh\n${"#".repeat(100)}\n`, { mode: 0o755 });
  const found = await examine({ ...settings, jailer: toHostPath(`${directory}/none`) });
  assert.match(found["firecracker-binary"]?.found ?? "", /is not a 64-bit Linux program/);
  assert.match(found["jailer-binary"]?.found ?? "", /none does not exist/);
});

test("a directory above the binaries that others may write is found", root, async (t) => {
  const place = new Place(t);
  const { directory, settings } = place;
  chmodSync(directory, 0o770);
  assert.match(
    (await examine(settings))["binaries-owner"]?.found ?? "",
    /is writable by others than root \(mode 770\)/,
  );
});

test("a Firecracker out of support is a warning, and jails can be made", root, async (t) => {
  const place = new Place(t);
  const { directory, settings } = place;
  fakePair(directory, "1.12.1");
  const finding = (await examine(settings))["binaries-supported"];
  assert.deepEqual(
    [finding?.status, finding?.found],
    ["warning", "1.12.1 is out of support upstream; 1.14.1 or newer is needed"],
  );
});

test("this machine's own accounts collide with a range that holds them", root, async (t) => {
  const place = new Place(t);
  const { settings } = place;
  const { etcDirectory: _etcDirectory, ...onThisMachine } = settings;
  const nobody = await examine({ ...onThisMachine, uidRange: { first: 65_000, count: 600 } });
  assert.equal(nobody["uid-range"]?.status, "problem");
  mkdirSync(`${settings.etcDirectory}`);
  writeFileSync(`${settings.etcDirectory}/passwd`, "ci:x:500123:500123::/:/bin/false\n");
  const collision = await examine(settings);
  assert.match(collision["uid-range"]?.found ?? "", /belongs to ci \(500123\)$/);
});

test("this machine's KVM opens", requires("root", "kvm"), async (t) => {
  assert.equal((await examine(new Place(t).settings))["kvm-device"]?.status, "ok");
});
