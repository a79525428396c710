import assert from "node:assert/strict";
import { test } from "node:test";
import { ProcTree } from "../../test/support/proc-tree.ts";
import type { Control, ControlPhase } from "../vm/isolation.ts";
import { toHostPath } from "../vm/path.ts";
import type { DescriptorFacts, KernelFacts, KernelView, Readings } from "./facts.ts";
import { compareHeld, compareRunning } from "./prove.ts";
import { readHeld, readRunning } from "./read.ts";
import type { LimitRule, WantedIsolation } from "./wanted.ts";

/** A view of a perfect process, and what was asked for. */
function perfect(phase: ControlPhase, version: 1 | 2 = 1): { wanted: WantedIsolation; view: KernelView } {
  using tree = new ProcTree(phase, version);
  const read = phase === "held" ? readHeld : readRunning;
  return { wanted: tree.wanted, view: read(tree.host, tree.process, tree.wanted) };
}

function controlOf(name: string, wanted: WantedIsolation, view: KernelView): Control | undefined {
  const compare = view.phase === "held" ? compareHeld : compareRunning;
  return compare(wanted, view).controls.find((control) => control.name === name);
}

function gapsOf(wanted: WantedIsolation, view: KernelView): string[] {
  const compare = view.phase === "held" ? compareHeld : compareRunning;
  return compare(wanted, view)
    .controls.filter((control) => !control.ok)
    .map((control) => control.name);
}

function readingOf<Name extends "threads" | "descriptors">(view: KernelView, name: Name): KernelFacts[Name] {
  const reading = view.facts[name];
  assert.ok(reading !== undefined && "value" in reading);
  return reading.value as KernelFacts[Name];
}

const withFacts = (view: KernelView, facts: Readings): KernelView => ({ ...view, facts: { ...view.facts, ...facts } });

for (const phase of ["held", "running"] as const) {
  test(`${phase}: a perfect process in a cgroup of v2 has no gaps`, () => {
    const { wanted, view } = perfect(phase, 2);
    assert.deepEqual(gapsOf(wanted, view), []);
  });
}

test("a cgroup path that begins with what lies above the mounted part is the same cgroup", () => {
  using tree = new ProcTree("held", 2);
  tree.write(tree.ofProcess("task/4242/cgroup"), "0::/docker/0123/jailer/vm-1\n");
  assert.deepEqual(gapsOf(tree.wanted, readHeld(tree.host, tree.process, tree.wanted)), []);
});

test("what was not asked for is reported, and no gap", () => {
  const { wanted, view } = perfect("held");
  const { openFiles, fileSizeBytes, cpus, label, ...rest } = wanted;
  assert.ok(openFiles && fileSizeBytes && cpus && label);
  const unasked = ["limit.open-files", "limit.file-size", "cpus", "mac-label"].map((name) =>
    controlOf(name, rest, view),
  );
  assert.deepEqual(
    unasked.map((control) => [control?.wanted, control?.found, control?.ok]),
    [
      ["any", "1000", true],
      ["any", "1048576", true],
      ["any", "0-1", true],
      ["any", "warder (enforce)", true],
    ],
  );
});

test("without a network namespace of its own only the host's is right", () => {
  const { wanted, view } = perfect("held");
  const { netns, ...rest } = wanted;
  assert.ok(netns);
  assert.equal(controlOf("network-namespace", rest, view)?.ok, false);
});

test("the host's own network namespace is a gap even where its file was asked for", () => {
  using tree = new ProcTree("held");
  const host = tree.path("namespaces/host-net");
  tree.link(tree.ofProcess("ns/net"), host);
  const wanted = { ...tree.wanted, netns: toHostPath(host) };
  assert.deepEqual(gapsOf(wanted, readHeld(tree.host, tree.process, wanted)), ["network-namespace"]);
});

test("a pid namespace that was not asked for is a gap", () => {
  const { wanted, view } = perfect("held");
  assert.deepEqual(gapsOf({ ...wanted, newPidNamespace: false }, view), ["pid-namespace"]);
});

test("memory, cpu and pids must be the VM's own even where no limit was asked for", () => {
  const { wanted, view } = perfect("held");
  const { cgroup, ...rest } = wanted;
  assert.ok(cgroup);
  assert.deepEqual(gapsOf({ ...rest, limits: [] }, view), ["cgroup.memory", "cgroup.cpu", "cgroup.pids"]);
});

test("a limit that could not be placed anywhere is a gap", () => {
  const { wanted } = perfect("held");
  using tree = new ProcTree("held");
  const unplaced = { ...wanted, limits: [{ name: "memory", wanted: "4096", rule: "exact" as const }] };
  assert.equal(controlOf("limit.memory", unplaced, readHeld(tree.host, tree.process, unplaced))?.found, "not set");
});

test("found text is safe for a terminal and not endless, whatever a jailed process calls itself", () => {
  const { wanted, view } = perfect("running");
  const evil = { number: 9, target: `/\u001b[2J\u202e${"x".repeat(1000)}`, file: undefined };
  const found = controlOf(
    "descriptors",
    wanted,
    withFacts(view, { descriptors: { value: { read: [evil], skipped: 0 } } }),
  );
  assert.match(found?.found ?? "", /^9 is \/\\u\{1b\}\[2J\\u\{202e\}x+…$/);
  assert.ok((found?.found.length ?? 0) < 400);
});

test("threads that agree are one value, and those that do not are named", () => {
  using tree = new ProcTree("running");
  assert.equal(
    controlOf("uid", tree.wanted, readRunning(tree.host, tree.process, tree.wanted))?.found,
    "10001 10001 10001 10001",
  );
  tree.setStatus("Uid", "0\t0\t0\t0", tree.vcpuTid);
  const one = controlOf("uid", tree.wanted, readRunning(tree.host, tree.process, tree.wanted));
  assert.equal(one?.found, "thread 4245 (fc_vcpu 0): 0 0 0 0");
});

test("a process of which no thread or not every thread was read is a gap, not a proof", () => {
  const { wanted, view } = perfect("running");
  const threads = readingOf(view, "threads").read;
  const perThread = ["seccomp", "no-new-privs", "uid", "gid", "groups", "capabilities", "cgroup.memory"];
  for (const value of [
    { read: [], skipped: 0 },
    { read: threads, skipped: 1 },
  ]) {
    const gaps = gapsOf(wanted, withFacts(view, { threads: { value } }));
    for (const name of perThread) assert.ok(gaps.includes(name), name);
  }
});

test("a fact that can not be read of a live process is a gap of every control that needs it", () => {
  const { wanted, view } = perfect("held");
  const blind = withFacts(view, { namespaces: { unreadable: "EACCES" } });
  assert.deepEqual(gapsOf(wanted, blind), ["mount-namespace", "network-namespace", "pid-namespace"]);
  assert.equal(controlOf("mount-namespace", wanted, blind)?.found, "unreadable: EACCES");
});

const rules: [LimitRule, wanted: string, found: string, ok: boolean][] = [
  ["exact", "100000 100000", "100000 100000\n", true],
  ["exact", "max", "max\n", true],
  ["exact", "max 100000", "100000 100000", false],
  ["exact", "1024", "", false],
  ["pages", "300000000", "299999232", true],
  ["pages", "300000000", "299958272", true],
  ["pages", "300000000", "300000000", true],
  ["pages", "300000000", "299995136", false],
  ["pages", "300000000", "299999233", false],
  ["pages", "300000000", "max", false],
  ["pages", "max", "max", true],
  ["list", "1,0", "0-1", true],
  ["list", "0-1", "0-2", false],
  ["list", "nonsense", "nonsense", false],
  ["line", "8:0 wbps=1", "8:16 rbps=1 wbps=max\n8:0 rbps=max wbps=1", true],
  ["line", "8:0 wbps=1", "8:0 rbps=1 wbps=10", false],
  ["line", "8:0 wbps=1", "8:16 rbps=max wbps=1", false],
  ["line", "8:0 wbps=1", "", false],
];

for (const [rule, asked, found, ok] of rules) {
  test(`limit: ${rule}: ${JSON.stringify(found)} ${ok ? "is" : "is not"} ${asked}`, () => {
    const { wanted, view } = perfect("held");
    const limits = [{ name: "one", wanted: asked, rule }];
    const control = controlOf(
      "limit.one",
      { ...wanted, limits },
      withFacts(view, { limits: { value: { one: found } } }),
    );
    assert.equal(control?.ok, ok);
  });
}

type FileOf = NonNullable<DescriptorFacts["file"]>;
const someFile: FileOf = { kind: "file", device: 1, inode: 2, deviceNumber: "0:0", links: 1 };
const character = (deviceNumber: string): FileOf => ({ ...someFile, kind: "character", deviceNumber });

const roles: [what: string, target: string, file: FileOf | undefined, ok: boolean][] = [
  ["/dev/kvm", "/dev/kvm", character("10:232"), true],
  ["/dev/net/tun", "/dev/net/tun", character("10:200"), true],
  ["/dev/userfaultfd", "/dev/userfaultfd", character("10:125"), true],
  ["/dev/null, wherever", "/dev/null", character("1:3"), true],
  ["a block device with the number of /dev/kvm", "/dev/kvm", { ...character("10:232"), kind: "block" }, false],
  ["/dev/mem", "/dev/kvm", character("1:1"), false],
  ["an asynchronous drive's ring", "anon_inode:[io_uring]", undefined, true],
  ["a file called like an anonymous inode", "/anon_inode:[eventfd]", someFile, false],
  ["a memfd", "/memfd:guest_mem (deleted)", { ...someFile, links: 0 }, true],
  ["a removed file of the host's", "/run/secret (deleted)", { ...someFile, links: 0 }, false],
  ["a file called like a memfd that is still there", "/memfd:guest_mem", { ...someFile, links: 0 }, false],
  ["a file called like a memfd", "/memfd:guest_mem (deleted)", someFile, false],
];

for (const [what, target, file, ok] of roles) {
  test(`descriptors: ${what} ${ok ? "is" : "is not"} Firecracker's`, () => {
    const { wanted, view } = perfect("running");
    const first = readingOf(view, "descriptors").read;
    const read = [...first, { number: 99, target, file }];
    const facts = withFacts(view, { descriptors: { value: { read, skipped: 0 } } });
    assert.equal(controlOf("descriptors", { ...wanted, userfaultfd: "10:125" }, facts)?.ok, ok);
  });
}

test("descriptors: a removed file of the jail that is called like a memfd is a gap", () => {
  const { wanted, view } = perfect("running");
  const device = wanted.jail?.rootIdentity.device ?? 0;
  const forged = { number: 9, target: "/memfd:x (deleted)", file: { ...someFile, device, links: 0 } };
  const facts = withFacts(view, { descriptors: { value: { read: [forged], skipped: 0 } } });
  assert.match(controlOf("descriptors", wanted, facts)?.found ?? "", /^9 is \/memfd:x \(deleted\) \(file\)/);
});

test("descriptors: more than can be read are a gap", () => {
  const { wanted, view } = perfect("running");
  const read = readingOf(view, "descriptors").read;
  const facts = withFacts(view, { descriptors: { value: { read, skipped: 7 } } });
  assert.equal(controlOf("descriptors", wanted, facts)?.found, "7 more than can be read");
});
