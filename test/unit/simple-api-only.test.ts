import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { proveHeld, proveRunning, reportIsolation } from "../../src/isolation/prove.ts";
import type { WantedIsolation } from "../../src/isolation/wanted.ts";
import { isWarderError } from "../../src/vm/error.ts";
import type { Control, ControlPhase } from "../../src/vm/isolation.ts";
import { isApiOnly, parseVmSpec } from "../../src/vm/spec.ts";
import { ProcTree } from "../support/proc-tree.ts";

const apiOnly = (wanted: WantedIsolation): WantedIsolation => ({ ...wanted, apiOnly: true });

/** What is said of the descriptors when one more is open. */
function descriptorsWith(phase: ControlPhase, open: (tree: ProcTree) => string, isApiOnlyVm: boolean): Control {
  using tree = new ProcTree(phase);
  tree.link(tree.ofProcess("fd/99"), open(tree));
  const wanted = isApiOnlyVm ? apiOnly(tree.wanted) : tree.wanted;
  const prove = phase === "held" ? proveHeld : proveRunning;
  const control = prove(tree.host, tree.process, wanted).controls.find(({ name }) => name === "descriptors");
  assert.ok(control);
  return control;
}

const socket = () => "socket:[12345]";
const jailFile = (tree: ProcTree) => {
  tree.write("jail/root/vmlinux", "the user's own kernel");
  return tree.path("jail/root/vmlinux");
};

describe("a VM without a kernel", () => {
  test("is asked for by a word, not by leaving the kernel out", () => {
    assert.equal(isApiOnly(parseVmSpec({ kernel: "none" })), true);
    assert.equal(isApiOnly(parseVmSpec({ kernel: "probe" })), false);
    assert.equal(isApiOnly(parseVmSpec({ kernel: "/none" })), false);
    assert.throws(() => parseVmSpec({}), isWarderError);
  });

  test("may serve its API while it is held, which another may not", () => {
    const serving = descriptorsWith("held", socket, true);
    assert.equal(serving.ok, true);
    assert.match(serving.wanted, /Firecracker's own$/);
    assert.match(serving.found, /socket/);
    assert.equal(descriptorsWith("held", socket, false).ok, false);
  });

  test("may hold files of its jail open once its guest runs, which another may not", () => {
    const holding = descriptorsWith("running", jailFile, true);
    assert.equal(holding.ok, true);
    assert.match(holding.found, /file of the jail/);
    assert.equal(descriptorsWith("running", jailFile, false).ok, false);
    assert.equal(descriptorsWith("held", jailFile, true).ok, false, "before its guest runs it has opened none");
  });

  for (const [what, target] of [
    ["a file of the host's", "/proc/version"],
    ["a directory", "/"],
    ["a device", "/dev/zero"],
    ["a pidfd", "anon_inode:[pidfd]"],
    ["a pipe", "pipe:[1]"],
  ] as const) {
    for (const phase of ["held", "running"] as const) {
      test(`may not hold ${what} (${phase})`, () => {
        assert.equal(descriptorsWith(phase, () => target, true).ok, false);
      });
    }
  }

  test("is proven in part until its guest was started, which is why the rest is unread", () => {
    using tree = new ProcTree("held");
    const wanted = apiOnly(tree.wanted);
    const held = proveHeld(tree.host, tree.process, wanted);
    const { level, gaps } = reportIsolation("degrade", wanted, { held });
    assert.equal(level, "partial");
    assert.ok(gaps.includes("seccomp (running): the guest was not started yet"), gaps.join("\n"));
  });

  test("is proven in full once it was", () => {
    using held = new ProcTree("held");
    using running = new ProcTree("running");
    const report = reportIsolation("degrade", apiOnly(held.wanted), {
      held: proveHeld(held.host, held.process, apiOnly(held.wanted)),
      running: proveRunning(running.host, running.process, apiOnly(running.wanted)),
    });
    assert.deepEqual([report.level, report.gaps], ["proven", []]);
  });

  test("that ended while it was read is said to have ended", () => {
    using held = new ProcTree("held");
    using running = new ProcTree("running");
    running.remove(running.ofProcess("stat"));
    const report = reportIsolation("degrade", apiOnly(held.wanted), {
      held: proveHeld(held.host, held.process, apiOnly(held.wanted)),
      running: proveRunning(running.host, running.process, apiOnly(running.wanted)),
    });
    assert.equal(report.level, "partial");
    assert.ok(report.gaps.every((gap) => gap.endsWith(": the VM ended before it could be read")));
  });
});
