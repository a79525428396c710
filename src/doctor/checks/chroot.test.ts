import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { requires } from "../../../test/support/capability.ts";
import { contextOn, runCheck } from "../../../test/support/doctor-context.ts";
import { toHostPath } from "../../vm/path.ts";
import type { DoctorSettings } from "../check.ts";
import { chrootChecks } from "./chroot.ts";

test("a base that is not there yet is judged by the directory that it will be made in", async (t) => {
  const asked: string[] = [];
  const directoryProblems = (path: string): string[] => {
    asked.push(path);
    return [];
  };
  const context = contextOn(t, { deps: { directoryProblems } });
  const verdict = await runCheck(chrootChecks, "chroot-base", context);
  assert.deepEqual(
    [verdict.status, verdict.found],
    ["ok", `${context.settings.chrootBase}: not there yet, made with the first start`],
  );
  assert.deepEqual(asked, [context.directory]);
});

test("a base that others can change is a problem", async (t) => {
  const context = contextOn(t, { deps: { directoryProblems: () => ["/srv belongs to user 1000, not to root"] } });
  const verdict = await runCheck(chrootChecks, "chroot-base", context);
  assert.deepEqual(verdict, { status: "problem", found: "/srv belongs to user 1000, not to root" });
});

describe("a base that belongs to an account", requires("root"), () => {
  const passwd =
    "root:x:0:0:root:/root:/bin/sh\njailer:x:991:991::/srv/jailer:/bin/false\nann:x:1000:1000::/:/bin/sh\n";
  const verdictFor = async (t: TestContext, uid: number, settings: Partial<DoctorSettings> = {}, mode = 0o755) => {
    const deps = {
      directoryProblems: (path: string) => (path.endsWith("/srv/jailer") ? [`${path} belongs to ${uid}`] : []),
    };
    const context = contextOn(t, { files: { "etc/passwd": passwd }, settings, deps });
    mkdirSync(context.settings.chrootBase, { recursive: true });
    chownSync(context.settings.chrootBase, uid, uid);
    chmodSync(context.settings.chrootBase, mode);
    return runCheck(chrootChecks, "chroot-base", context);
  };
  test("that nobody logs in to and no VM runs as is fine", async (t) => {
    const { status, found } = await verdictFor(t, 991);
    assert.equal(status, "ok");
    assert.match(found, /which belongs to jailer, whom nobody and no VM runs as$/);
  });
  for (const [what, uid, settings, mode] of [
    ["that VMs run as", 991, { jailUid: 991 }, 0o755],
    ["that VMs lease", 991, { uidRange: { first: 990, count: 5 } }, 0o755],
    ["that somebody can log in to", 1000, {}, 0o755],
    ["that there is none of", 4242, {}, 0o755],
    ["beside which others may write", 991, {}, 0o775],
  ] as const) {
    test(`${what} is a problem`, async (t) => {
      assert.equal((await verdictFor(t, uid, settings, mode)).status, "problem");
    });
  }
});

test("a base that is a file is a problem", async (t) => {
  const verdict = await runCheck(chrootChecks, "chroot-base", contextOn(t, { files: { "srv/jailer": "" } }));
  assert.equal(verdict.status, "problem");
  assert.match(verdict.found, /\/srv\/jailer is not a directory$/);
});

test("a base that is a link is shown with where it leads", async (t) => {
  const context = contextOn(t);
  mkdirSync(`${context.directory}/disk`);
  mkdirSync(`${context.directory}/srv`);
  symlinkSync(`${context.directory}/disk`, context.settings.chrootBase);
  const verdict = await runCheck(chrootChecks, "chroot-base", context);
  assert.equal(verdict.found, `${context.settings.chrootBase}, which is ${context.directory}/disk`);
});

for (const [freeMib, status] of [
  [10_000, "ok"],
  [500, "warning"],
  [10, "problem"],
] as const) {
  test(`${freeMib} MiB of room: ${status}`, async (t) => {
    const context = contextOn(t);
    const files = { ...context.host.files, freeBytes: () => freeMib * 1024 * 1024 };
    const verdict = await runCheck(chrootChecks, "chroot-base-space", { ...context, host: { ...context.host, files } });
    assert.deepEqual(verdict, { status, found: `${freeMib} MiB are free` });
  });
}

test("assets on the base's mount can be linked, and nothing of the trial stays", async (t) => {
  const context = contextOn(t, { files: { "images/vmlinux": "kernel" } });
  const settings = { ...context.settings, assets: [toHostPath(`${context.directory}/images/vmlinux`)] };
  const verdict = await runCheck(chrootChecks, "chroot-same-filesystem", { ...context, settings });
  assert.equal(verdict.status, "ok");
  assert.deepEqual(readdirSync(context.directory), ["images"]);
});

test("without assets there is nothing to link", async (t) => {
  assert.equal((await runCheck(chrootChecks, "chroot-same-filesystem", contextOn(t))).status, "skipped");
});

for (const [base, firecracker, status, found] of [
  ["/warder-jails", "/usr/bin/firecracker", "ok", /up to 53 characters fit, of the 64/],
  ["/j", "/usr/bin/fc", "ok", /every VM id fits/],
  [`/warder-${"x".repeat(40)}`, "/usr/bin/firecracker", "problem", /only 18 bytes are left/],
  [`/warder-${"x".repeat(200)}`, "/usr/bin/firecracker", "problem", /only 0 bytes are left/],
  ["/warder-jails", "/usr/bin/firecracker-v1.16.1-x86_64", "ok", /up to 38 characters fit/],
  ["/warder-jäils", "/usr/bin/firecracker", "ok", /up to 52 characters fit/],
] as const) {
  test(`sockets of ${firecracker} in ${base.slice(0, 30)} (${base.length} characters): ${status}`, async (t) => {
    const settings = { chrootBase: toHostPath(base), firecracker: toHostPath(firecracker) };
    const verdict = await runCheck(chrootChecks, "socket-path-length", contextOn(t, { settings }));
    assert.equal(verdict.status, status);
    assert.match(verdict.found, found);
  });
}

test("the base's real path counts, not the link to it", async (t) => {
  const context = contextOn(t);
  mkdirSync(`${context.directory}/${"deep".repeat(20)}`);
  mkdirSync(`${context.directory}/srv`);
  symlinkSync(`${context.directory}/${"deep".repeat(20)}`, context.settings.chrootBase);
  assert.equal((await runCheck(chrootChecks, "socket-path-length", context)).status, "problem");
});
