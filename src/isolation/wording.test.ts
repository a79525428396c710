import assert from "node:assert/strict";
import { test } from "node:test";
import { ProcTree } from "../../test/support/proc-tree.ts";
import type { ControlPhase } from "../vm/isolation.ts";
import { proveHeld, proveRunning } from "./prove.ts";

/** What a report says is found of a control once a perfect process was spoilt: it is what its reader acts on. */
const wordings: [phase: ControlPhase, name: string, spoil: (tree: ProcTree) => void, found: string][] = [
  ["held", "uid", (tree) => tree.setStatus("Uid", "0\t0\t0\t0"), "0 0 0 0"],
  ["held", "groups", () => undefined, "none"],
  ["held", "groups", (tree) => tree.setStatus("Groups", "0 27 "), "0 27"],
  ["held", "groups", (tree) => tree.edit("proc/4242/task/4242/status", /^Groups.*\n/m, ""), "absent"],
  ["held", "capabilities", (tree) => tree.setStatus("CapEff", "0000000000200000"), "effective 0000000000200000"],
  ["held", "capabilities", (tree) => tree.edit("proc/4242/task/4242/status", /^CapAmb.*\n/m, ""), "ambient absent"],
  ["held", "environment", () => undefined, "empty"],
  ["held", "environment", (tree) => tree.write(tree.ofProcess("environ"), "HOME=/root\0PATH=/bin\0"), "HOME, PATH"],
  ["held", "command-line", (tree) => tree.write(tree.ofProcess("cmdline"), "/firecracker\0"), "no --id, filters on"],
  ["held", "mounts", (tree) => tree.write(tree.ofProcess("mountinfo"), ""), "none"],
  [
    "held",
    "mounts",
    (tree) => tree.write(tree.ofProcess("mountinfo"), mounts(10)),
    "/0, /1, /2, /3, /4, /5, /6, /7 and 2 more",
  ],
  ["held", "root", (tree) => tree.link(tree.ofProcess("root"), tree.path("host-root")), "the host's"],
  ["held", "pid-namespace", (tree) => tree.setStatus("NSpid", "4242\t7"), "its own, as process 7"],
  [
    "held",
    "limit.open-files",
    (tree) => tree.edit(tree.ofProcess("limits"), /(open files +1000 +)1000/, "$199"),
    "1000 soft, 99 hard",
  ],
  [
    "held",
    "limit.io",
    (tree) => tree.write(`${tree.ofCgroup("blkio")}/blkio.throttle.write_bps_device`, "8:16 1\n"),
    "empty",
  ],
  ["held", "limit.pids", (tree) => tree.write(`${tree.ofCgroup("pids")}/pids.max`, "max\n"), "max"],
  ["held", "descriptors", (tree) => tree.link(tree.ofProcess("fd/9"), "/etc/passwd"), "9 is /etc/passwd (file)"],
  ["held", "descriptors", (tree) => tree.link(tree.ofProcess("fd/9"), "/dev/zero"), "9 is /dev/zero (character 1:5)"],
  ["held", "descriptors", (tree) => tree.remove(tree.ofProcess("fd/0")), "0 is closed"],
  ["running", "seccomp", (tree) => tree.setStatus("Seccomp", "0", tree.vcpuTid), "thread 4245 (fc_vcpu 0): mode 0"],
  ["running", "seccomp", (tree) => setOnAll(tree, "0"), "mode 0"],
  [
    "running",
    "seccomp",
    (tree) => {
      tree.setStatus("Seccomp", "1");
      tree.setStatus("Seccomp", "0", tree.vcpuTid);
    },
    "thread 4242 (firecracker): mode 1; thread 4245 (fc_vcpu 0): mode 0",
  ],
];

test("threads that are all wrong, but not alike, are each named", () => {
  using tree = new ProcTree("running");
  setOnAll(tree, "0");
  tree.setStatus("Seccomp", "1", tree.vcpuTid);
  const { controls } = proveRunning(tree.host, tree.process, tree.wanted);
  const found = controls.find((control) => control.name === "seccomp")?.found ?? "";
  assert.equal(found.split("; ").length, 4);
});

for (const [phase, name, spoil, found] of wordings) {
  test(`${phase}: ${name}: ${found}`, () => {
    using tree = new ProcTree(phase);
    spoil(tree);
    const { controls } = (phase === "held" ? proveHeld : proveRunning)(tree.host, tree.process, tree.wanted);
    assert.equal(controls.find((control) => control.name === name)?.found, found);
  });
}

test("what a start without the jailer wants is said in words, as it has no values", () => {
  using tree = new ProcTree("held");
  const { jail, ...wanted } = tree.wanted;
  assert.ok(jail);
  const { controls } = proveHeld(tree.host, tree.process, wanted);
  const wantedOf = (name: string) => controls.find((control) => control.name === name)?.wanted;
  assert.deepEqual(["uid", "root", "working-directory", "executable"].map(wantedOf), [
    "one of its own",
    "a directory of its own",
    "in a jail",
    "the jail's own copy",
  ]);
});

function mounts(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index} 1 0:5 / /${index} rw - proc proc rw\n`).join("");
}

function setOnAll(tree: ProcTree, mode: string): void {
  for (const tid of [4242, 4243, 4245, 4246]) tree.setStatus("Seccomp", mode, tid);
}
