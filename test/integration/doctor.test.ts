import assert from "node:assert/strict";
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { doctorCodes } from "../../src/doctor/catalogue.ts";
import type { DoctorSettings } from "../../src/doctor/check.ts";
import { toHostPath } from "../../src/vm/path.ts";
import { requires } from "../support/capability.ts";
import { ANYBODY, cgroups, examine, Place } from "../support/doctor-place.ts";
import { run } from "../support/setup-binaries.ts";

const root = requires("root");

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
