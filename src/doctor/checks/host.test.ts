import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { contextOn, type Differences, runCheck } from "../../../test/support/doctor-context.ts";
import { hostChecks } from "./host.ts";

const check = (t: TestContext, code: (typeof hostChecks)[number]["code"], differences: Differences) =>
  runCheck(hostChecks, code, contextOn(t, differences));

test("root is fine and anybody else is a problem", async (t) => {
  assert.equal((await check(t, "root", { effectiveUid: 0 })).status, "ok");
  assert.deepEqual(await check(t, "root", { effectiveUid: 1000 }), {
    status: "problem",
    found: "this process is user 1000's",
  });
});

test("full capabilities are fine", async (t) => {
  const files = { "proc/self/status": "Name:\tnode\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n" };
  assert.equal((await check(t, "capabilities", { files })).status, "ok");
});

test("capabilities that a container lacks are named", async (t) => {
  const files = { "proc/self/status": "CapEff:\t00000000a80425fb\n" };
  assert.deepEqual(await check(t, "capabilities", { files }), { status: "problem", found: "missing: CAP_SYS_ADMIN" });
});

for (const [release, status] of [
  ["6.18.44-custom", "ok"],
  ["5.10.0-32-amd64", "ok"],
  ["10.0", "ok"],
  ["5.9.16", "problem"],
  ["4.14.355", "problem"],
  ["unknown", "warning"],
] as const) {
  test(`Linux ${release} is ${status}`, async (t) => {
    const verdict = await check(t, "kernel-version", { files: { "proc/sys/kernel/osrelease": `${release}\n` } });
    assert.equal(verdict.status, status);
    assert.match(verdict.found, new RegExp(release));
  });
}

test("tools for jails are needed, and those for networks missed", async (t) => {
  assert.equal((await check(t, "system-tools", {})).status, "ok");
  const withoutNft = await check(t, "system-tools", { missingTools: ["nft"] });
  assert.deepEqual([withoutNft.status, withoutNft.found], ["warning", "missing, for networks: nft"]);
  const withoutMknod = await check(t, "system-tools", { missingTools: ["nft", "mknod"] });
  assert.deepEqual([withoutMknod.status, withoutMknod.found], ["problem", "missing: mknod"]);
});

test("hundreds of mounts are worth a warning", async (t) => {
  const mounts = (count: number): Differences => ({
    files: { "proc/self/mountinfo": "25 1 0:23 / /sys rw\n".repeat(count) },
  });
  assert.deepEqual(await check(t, "mount-count", mounts(30)), { status: "ok", found: "30 mounts" });
  assert.equal((await check(t, "mount-count", mounts(201))).status, "warning");
});
