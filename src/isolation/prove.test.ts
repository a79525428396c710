import assert from "node:assert/strict";
import { test } from "node:test";
import { ProcTree } from "../../test/support/proc-tree.ts";
import { controlNames, proveHeld, proveRunning, reportIsolation } from "./prove.ts";
import type { WantedIsolation } from "./wanted.ts";

test("two phases without a gap are a proof", () => {
  using held = new ProcTree("held");
  using running = new ProcTree("running");
  const report = reportIsolation("strict", held.wanted, {
    held: proveHeld(held.host, held.process, held.wanted),
    running: proveRunning(running.host, running.process, running.wanted),
  });
  assert.deepEqual([report.level, report.gaps], ["proven", []]);
  assert.equal(
    report.controls.length,
    controlNames(held.wanted, "held").length + controlNames(held.wanted, "running").length,
  );
});

test("a phase that was never looked at is not proven: each of its controls is named", () => {
  using tree = new ProcTree("held");
  const report = reportIsolation("strict", tree.wanted, { held: proveHeld(tree.host, tree.process, tree.wanted) });
  assert.equal(report.level, "partial");
  assert.ok(report.gaps.includes("seccomp (running): the VM ended before it could be read"));
  assert.equal(report.gaps.length, controlNames(tree.wanted, "running").length);
});

test("no proof at all is not proven", () => {
  using tree = new ProcTree("held");
  assert.equal(reportIsolation("strict", tree.wanted, {}).level, "partial");
});

test("one gap in either phase degrades the VM, and is named with what was wanted and found", () => {
  using held = new ProcTree("held");
  using running = new ProcTree("running");
  running.setStatus("Seccomp", "0", running.vcpuTid);
  const report = reportIsolation("degrade", held.wanted, {
    held: proveHeld(held.host, held.process, held.wanted),
    running: proveRunning(running.host, running.process, running.wanted),
  });
  assert.equal(report.level, "degraded");
  assert.deepEqual(report.gaps, ["seccomp: wanted mode 2 on every thread, found thread 4245 (fc_vcpu 0): mode 0"]);
});

test("a start without the jailer is unjailed, however good it looks, and each missing control is a gap", () => {
  using tree = new ProcTree("held");
  for (const name of ["mnt", "net", "pid"])
    tree.link(tree.ofProcess(`ns/${name}`), tree.path(`namespaces/host-${name}`));
  for (const name of ["root", "cwd"]) tree.link(tree.ofProcess(name), tree.path("host-root"));
  tree.setStatus("Uid", "0\t0\t0\t0");
  tree.setStatus("Gid", "0\t0\t0\t0");
  tree.setStatus("CapEff", "000001ffffffffff");
  tree.setStatus("NSpid", "4242");
  const wanted = unjailed(tree.wanted);
  const report = reportIsolation("degrade", wanted, { held: proveHeld(tree.host, tree.process, wanted) });
  assert.equal(report.level, "unjailed");
  const missing = report.controls.filter((control) => !control.ok).map((control) => control.name);
  assert.deepEqual(missing, [
    "root",
    "working-directory",
    "executable",
    "mount-namespace",
    "uid",
    "gid",
    "capabilities",
    "cgroup.memory",
    "cgroup.cpu",
    "cgroup.pids",
  ]);
});

test("without the jailer a process has no user, root or program of its own, wherever it stands", () => {
  using tree = new ProcTree("held");
  const wanted = unjailed(tree.wanted);
  const { controls } = proveHeld(tree.host, tree.process, wanted);
  for (const name of ["uid", "gid", "root", "working-directory", "executable"]) {
    assert.equal(controls.find((control) => control.name === name)?.ok, false, name);
  }
});

test("what was asked for survives being stored as JSON", () => {
  using tree = new ProcTree("held");
  const stored = JSON.parse(JSON.stringify(tree.wanted)) as WantedIsolation;
  assert.deepEqual(proveHeld(tree.host, tree.process, stored), proveHeld(tree.host, tree.process, tree.wanted));
});

test("no two controls of a phase have the same name", () => {
  using tree = new ProcTree("held");
  for (const phase of ["held", "running"] as const) {
    const names = controlNames(tree.wanted, phase);
    assert.equal(new Set(names).size, names.length);
  }
});

function unjailed({ jail, cgroup, netns, ...rest }: WantedIsolation): WantedIsolation {
  assert.ok(jail && cgroup && netns);
  return { ...rest, newPidNamespace: false, limits: [] };
}
