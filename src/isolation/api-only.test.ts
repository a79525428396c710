import assert from "node:assert/strict";
import { test } from "node:test";
import { ProcTree } from "../../test/support/proc-tree.ts";
import type { ControlPhase } from "../vm/isolation.ts";
import { proveHeld, proveRunning, reportIsolation } from "./prove.ts";
import type { WantedIsolation } from "./wanted.ts";

/** What is found of the descriptors of a VM without a configuration file, one of which was made to lead elsewhere. */
function descriptorsOf(phase: ControlPhase, target: (tree: ProcTree) => string): { found: string; ok: boolean } {
  using tree = new ProcTree(phase);
  tree.link(tree.ofProcess("fd/20"), target(tree));
  const prove = phase === "held" ? proveHeld : proveRunning;
  const { controls } = prove(tree.host, tree.process, apiOnly(tree));
  const { found = "", ok = false } = controls.find((control) => control.name === "descriptors") ?? {};
  return { found, ok };
}

function apiOnly(tree: ProcTree): WantedIsolation {
  return { ...tree.wanted, apiOnly: true };
}

test("a Firecracker that is configured on its API has a socket before its guest runs", () => {
  assert.equal(descriptorsOf("held", () => "socket:[4711]").ok, true);
});

test("a file of the jail that its user chose is right once the guest runs, and not before", () => {
  const chosen = (tree: ProcTree) => {
    tree.write("jail/root/disk", "a disk");
    return tree.path("jail/root/disk");
  };
  assert.match(descriptorsOf("running", chosen).found, /, file of the jail/);
  assert.equal(descriptorsOf("held", chosen).ok, false);
});

test("a file of another file system is no file of the jail, whoever chose it", () => {
  assert.equal(descriptorsOf("running", () => "/proc/version").ok, false);
});

test("a directory of the jail is a gap, whoever chose it", () => {
  assert.equal(descriptorsOf("running", (tree) => tree.path("jail/root")).ok, false);
});

test("while it waits for its user, what only a guest shows is unread for that reason, and no gap", () => {
  using tree = new ProcTree("held");
  const wanted = apiOnly(tree);
  const report = reportIsolation("strict", wanted, { held: proveHeld(tree.host, tree.process, wanted) });
  assert.equal(report.level, "partial");
  assert.ok(report.gaps.every((gap) => gap.endsWith("(running): the guest was not started yet")));
});
