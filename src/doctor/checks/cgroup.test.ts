import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { contextOn, fineDeps, runCheck } from "../../../test/support/doctor-context.ts";
import { WarderError } from "../../vm/error.ts";
import { toHostPath } from "../../vm/path.ts";
import type { DoctorCgroups } from "../check.ts";
import { cgroupChecks } from "./cgroup.ts";

const cgroups = (own: Partial<DoctorCgroups>) => ({ deps: { cgroups: { ...fineDeps.cgroups, ...own } } });

function refuse(why: string, cure?: string): never {
  throw new WarderError("cgroup-unavailable", { doing: "choosing", why, ...(cure === undefined ? {} : { cure }) });
}

test("the version that VMs would get is named", async (t) => {
  assert.deepEqual(await runCheck(cgroupChecks, "cgroup-version", contextOn(t, cgroups({ choose: () => 1 }))), {
    status: "ok",
    found: "version 1 has memory, cpu, pids",
  });
});

test("a host without usable cgroups has a problem, with the cgroup room's own reason and cure", async (t) => {
  const context = contextOn(t, cgroups({ choose: () => refuse("no cgroup2 file system is mounted", "Mount it") }));
  assert.deepEqual(await runCheck(cgroupChecks, "cgroup-version", context), {
    status: "problem",
    found: "no cgroup2 file system is mounted",
    cure: "Mount it.",
  });
  for (const code of ["cgroup-controllers", "cgroup-writable", "cgroup-v2-internal-processes"] as const) {
    assert.equal((await runCheck(cgroupChecks, code, context)).status, "skipped");
  }
});

test("missing controllers for CPU sets and disks are worth a warning", async (t) => {
  const choose: DoctorCgroups["choose"] = (controllers) => (controllers.includes("io") ? refuse("io is missing") : 2);
  const verdict = await runCheck(cgroupChecks, "cgroup-controllers", contextOn(t, cgroups({ choose })));
  assert.deepEqual(verdict, { status: "warning", found: "missing: io" });
});

test("a cgroup is made at each mount and removed again", async (t) => {
  const context = contextOn(t);
  const mounts = ["memory", "cpu"].map((name) => toHostPath(`${context.directory}/${name}`));
  for (const mount of mounts) mkdirSync(mount);
  const deps = { ...context.deps, ...cgroups({ mounts: () => mounts }).deps };
  const verdict = await runCheck(cgroupChecks, "cgroup-writable", { ...context, deps });
  assert.equal(verdict.status, "ok");
  assert.deepEqual(
    mounts.flatMap((mount) => readdirSync(mount)),
    [],
  );
});

test("a mount in which no cgroup can be made is a problem, and named", async (t) => {
  const context = contextOn(t, cgroups({ mounts: () => [toHostPath("/proc")] }));
  const verdict = await runCheck(cgroupChecks, "cgroup-writable", context);
  assert.equal(verdict.status, "problem");
  assert.match(verdict.found, /^\/proc: E[A-Z]+$/);
});

test("a parent with processes is a problem for version 2 and none for version 1", async (t) => {
  const checkParent = (): never => refuse("it holds 3 process(es)");
  const two = await runCheck(cgroupChecks, "cgroup-v2-internal-processes", contextOn(t, cgroups({ checkParent })));
  assert.deepEqual(two, { status: "problem", found: "it holds 3 process(es)" });
  const one = contextOn(t, cgroups({ checkParent, choose: () => 1 }));
  assert.equal((await runCheck(cgroupChecks, "cgroup-v2-internal-processes", one)).status, "ok");
});
