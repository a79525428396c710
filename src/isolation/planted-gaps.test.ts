import assert from "node:assert/strict";
import { test } from "node:test";
import { ProcTree } from "../../test/support/proc-tree.ts";
import type { ControlPhase } from "../vm/isolation.ts";
import { ANYTHING } from "./claim.ts";
import { controlNames, type PhaseProof, proveHeld, proveRunning } from "./prove.ts";

/** Spoils one thing of a perfect tree. `tid` is a thread that is not the main one where there is another. */
type Plant = (tree: ProcTree, tid: number) => void;

const status =
  (field: string, value: string): Plant =>
  (tree, tid) =>
    tree.setStatus(field, value, tid);
const text =
  (name: string, from: string | RegExp, to: string): Plant =>
  (tree) =>
    tree.edit(tree.ofProcess(name), from, to);
const link =
  (name: string, target: (tree: ProcTree) => string): Plant =>
  (tree) =>
    tree.link(tree.ofProcess(name), target(tree));
const descriptor = (number: number, target: string): Plant => link(`fd/${number}`, () => target);

const membership = (controller: string): Record<string, Plant> => ({
  "a thread is elsewhere": (tree, tid) =>
    tree.edit(`${tree.ofProcess("task")}/${tid}/cgroup`, `:${controller}:/jailer/vm-1`, `:${controller}:/`),
  "the cgroup does not list it": (tree) => tree.write(`${tree.ofCgroup(controller)}/cgroup.procs`, "1\n42420\n"),
  "the cgroup is gone": (tree) => tree.remove(`${tree.ofCgroup(controller)}/cgroup.procs`),
});

const limit = (controller: string, file: string, value: string): Record<string, Plant> => ({
  "another value": (tree) => tree.write(`${tree.ofCgroup(controller)}/${file}`, `${value}\n`),
  "no such file": (tree) => tree.remove(`${tree.ofCgroup(controller)}/${file}`),
});

const inBothPhases: Record<string, Record<string, Plant>> = {
  uid: {
    "real is root": status("Uid", "0\t10001\t10001\t10001"),
    "effective is root": status("Uid", "10001\t0\t10001\t10001"),
    "saved is root": status("Uid", "10001\t10001\t0\t10001"),
    "file system's is root": status("Uid", "10001\t10001\t10001\t0"),
    "another VM's": status("Uid", "10002\t10002\t10002\t10002"),
  },
  gid: {
    "effective is root": status("Gid", "10001\t0\t10001\t10001"),
    "all are root": status("Gid", "0\t0\t0\t0"),
  },
  groups: { "one is left": status("Groups", "0 "), "its own is left": status("Groups", "10001 ") },
  capabilities: {
    "inheritable are left": status("CapInh", "0000000000000400"),
    "permitted are left": status("CapPrm", "000001ffffffffff"),
    "effective are left": status("CapEff", "0000000000200000"),
    "ambient are left": status("CapAmb", "0000000000000001"),
  },
  "cgroup.memory": membership("memory"),
  "cgroup.cpu": membership("cpu"),
  "cgroup.cpuset": membership("cpuset"),
  "cgroup.pids": membership("pids"),
  "cgroup.blkio": membership("blkio"),
  "limit.memory": limit("memory", "memory.limit_in_bytes", "9223372036854771712"),
  "limit.cpu": limit("cpu", "cpu.cfs_quota_us", "-1"),
  "limit.cpus": limit("cpuset", "cpuset.cpus", "0-3"),
  "limit.pids": limit("pids", "pids.max", "max"),
  "limit.io": limit("blkio", "blkio.throttle.write_bps_device", "8:16 1048576"),
  descriptors: {
    "a file of the host's": descriptor(9, "/etc/passwd"),
    "a directory of the host's": descriptor(9, "/etc"),
    "a directory that is known": (tree) => tree.link(tree.ofProcess("fd/9"), tree.path("jail/root")),
    "a device that is none of Firecracker's": descriptor(9, "/dev/zero"),
    "a pipe": descriptor(9, "pipe:[4711]"),
    "a namespace": descriptor(9, "net:[4026531840]"),
    "a pidfd": descriptor(9, "anon_inode:[pidfd]"),
    "a BPF program": descriptor(9, "anon_inode:bpf-prog"),
    "standard input is something else": descriptor(0, "/dev/zero"),
    "standard output is something else": descriptor(1, "/dev/null"),
    "standard error is another FIFO": link("fd/2", (tree) => tree.path("jail/io/log")),
    "standard error is closed": (tree) => tree.remove(tree.ofProcess("fd/2")),
  },
};

const planted: Record<ControlPhase, Record<string, Record<string, Plant>>> = {
  held: {
    ...inBothPhases,
    descriptors: { ...inBothPhases.descriptors, "a socket before there can be one": descriptor(9, "socket:[4711]") },
    root: {
      "the host's": link("root", (tree) => tree.path("host-root")),
      "another directory": link("root", (tree) => tree.path("jail/io")),
      "another directory at its path": (tree) => {
        tree.move("jail/root", "jail/old-root");
        for (const name of ["root", "cwd"]) tree.link(tree.ofProcess(name), tree.path("jail/old-root"));
        tree.write("jail/root/firecracker", "another copy");
      },
      "a link at its path": (tree) => {
        tree.move("jail/root", "jail/old-root");
        tree.link("jail/root", tree.path("jail/old-root"));
      },
    },
    "working-directory": { "outside the jail": link("cwd", (tree) => tree.path("host-root")) },
    executable: {
      "not the jail's copy": link("exe", (tree) => tree.path("jail/root/kernel")),
      "the copy was replaced": (tree) => {
        tree.move("jail/root/firecracker", "jail/old");
        tree.link(tree.ofProcess("exe"), tree.path("jail/old"));
        tree.write("jail/root/firecracker", "another copy");
      },
    },
    mounts: {
      "one is left": text("mountinfo", /$/, "64 63 0:5 / /proc rw - proc proc rw\n"),
      "the root is none": text("mountinfo", " / rw", " /srv rw"),
    },
    "mount-namespace": { "the host's": link("ns/mnt", (tree) => tree.path("namespaces/host-mnt")) },
    "network-namespace": {
      "the host's": link("ns/net", (tree) => tree.path("namespaces/host-net")),
      "neither the host's nor the one that was asked for": link("ns/net", (tree) => tree.path("namespaces/own-pid")),
      "what was asked for is gone": (tree) => {
        tree.move("namespaces/own-net", "namespaces/gone");
        tree.link(tree.ofProcess("ns/net"), tree.path("namespaces/gone"));
      },
    },
    "pid-namespace": {
      "the host's": link("ns/pid", (tree) => tree.path("namespaces/host-pid")),
      "its own, with another as process 1": status("NSpid", "4242\t7"),
    },
    environment: { "variables are left": (tree) => tree.write(tree.ofProcess("environ"), "HOME=/root\0PATH=/bin\0") },
    "command-line": {
      "another VM's": text("cmdline", "vm-1", "vm-2"),
      "no id": text("cmdline", "--id", "--ix"),
      "filters switched off": text("cmdline", "--start-time-us", "--no-seccomp"),
    },
    "mac-label": {
      "another profile": text("attr/current", "warder", "other"),
      "only complaining": text("attr/current", "(enforce)", "(complain)"),
      none: text("attr/current", /.*\n/, ""),
    },
    cpus: { "more than asked for": status("Cpus_allowed_list", "0-3") },
    "limit.open-files": {
      "another soft limit": text("limits", /(Max open files +)1000/, "$11001"),
      "another hard limit": text("limits", /(Max open files +1000 +)1000/, "$14096"),
    },
    "limit.file-size": { unlimited: text("limits", /(Max file size +)1048576( +)1048576/, "$1unlimited$2unlimited") },
  },
  running: {
    ...inBothPhases,
    threads: {
      "more vCPUs than asked for": (tree) => tree.setStatus("Name", "fc_vcpu 1", tree.vcpuTid + 1),
    },
    seccomp: {
      "off on one thread": status("Seccomp", "0"),
      "strict on one thread": status("Seccomp", "1"),
      "off on the main thread": (tree) => tree.setStatus("Seccomp", "0"),
      "not in this kernel": (tree, tid) => tree.edit(`${tree.ofProcess("task")}/${tid}/status`, /^Seccomp:.*\n/m, ""),
    },
    "no-new-privs": { "not set on one thread": status("NoNewPrivs", "0") },
  },
};

const prove = { held: proveHeld, running: proveRunning };

function proof(phase: ControlPhase, plant: Plant): PhaseProof {
  using tree = new ProcTree(phase);
  plant(tree, phase === "running" ? tree.vcpuTid : tree.process.pid);
  return prove[phase](tree.host, tree.process, tree.wanted);
}

for (const phase of ["held", "running"] as const) {
  test(`${phase}: a process with nothing wrong is proven`, () => {
    const { controls, unread, vanished } = proof(phase, () => undefined);
    assert.deepEqual([controls.filter((control) => !control.ok), unread, vanished], [[], [], false]);
  });

  test(`${phase}: every control is covered by a planted gap, but those that only report`, () => {
    const reporting = proof(phase, () => undefined).controls.filter((control) => control.wanted === ANYTHING);
    const covered = [...Object.keys(planted[phase]), ...reporting.map((control) => control.name)];
    using tree = new ProcTree(phase);
    assert.deepEqual(covered.sort(), controlNames(tree.wanted, phase).sort());
  });

  for (const [name, plants] of Object.entries(planted[phase])) {
    for (const [what, plant] of Object.entries(plants)) {
      test(`${phase}: ${name}: ${what}`, () => {
        const { controls, unread, vanished } = proof(phase, plant);
        const gaps = controls.filter((control) => !control.ok).map((control) => control.name);
        assert.deepEqual([gaps, unread, vanished], [[name], [], false]);
      });
    }
  }
}

for (const [what, name] of [
  ["vCPU", "fc_vcpu 0"],
  ["API", "fc_api"],
] as const) {
  test(`running: without the ${what} thread, not yet or no longer there, nothing is wrong and nothing proven`, () => {
    const { controls, unread } = proof("running", (tree) => {
      tree.setStatus("Name", "other", what === "API" ? tree.vcpuTid - 2 : tree.vcpuTid);
    });
    assert.deepEqual([controls.filter((control) => !control.ok), unread], [[], ["threads"]], name);
  });
}
