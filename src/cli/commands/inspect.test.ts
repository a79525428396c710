import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeTerminal } from "../../../test/support/fake-terminal.ts";
import type { VmView } from "../../vm/view.ts";
import { printView } from "./inspect.ts";

const running = {
  id: "vm-1",
  state: "running",
  pid: 42,
  jailed: true,
  jail: { id: "vm-1", root: "/j/root", socket: "/j/root/run/s", uid: 5, gid: 6 },
  limits: {
    memoryBytes: 191_258_624,
    cpuPercent: 150,
    cpuWeight: 50,
    cpus: "0-1",
    memoryNodes: "0",
    pids: 1024,
    openFiles: 2048,
    fileSizeBytes: 1024,
    io: [{ device: "8:0", readBytesPerSecond: 1 }],
  },
  isolation: null,
  timings: { totalMs: 23 },
  vcpus: 2,
  memoryMib: 1024,
  kernel: "/k\u001b",
  firecrackerVersion: "1.16.1",
  cgroup: { version: 1, directories: { memory: "/cg/memory/jailer/vm-1", cpu: "/cg/cpu/jailer/vm-1" } },
  createdAt: "2026-01-01T00:00:00.000Z",
  generation: 3,
} as unknown as VmView;

function shown(view: VmView): Record<string, string> {
  const terminal = fakeTerminal();
  printView(terminal, view);
  const facts = terminal.stdout.lines.slice(0, terminal.stdout.lines.indexOf(""));
  return Object.fromEntries(facts.map((line) => line.split(/ {2,}/) as [string, string]));
}

test("a VM that runs is shown with where it is and what it may use", () => {
  assert.deepEqual(shown(running), {
    id: "vm-1",
    state: "running",
    pid: "42",
    created: "2026-01-01T00:00:00.000Z",
    kernel: "/k\\x1b",
    vcpus: "2",
    memory: "1 GiB",
    firecracker: "1.16.1",
    jailed: "as 5:6",
    root: "/j/root",
    socket: "/j/root/run/s",
    cgroup: "v1, memory, cpu: /cg/memory/jailer/vm-1",
    limits:
      "memory 182 MiB, cpu 150 %, cpu weight 50, cpus 0-1, memory nodes 0, threads 1024, open files 2048, file size 1 KiB, io of 8:0",
  });
});

test("one that has ended is shown with why, and without what is gone", () => {
  const exit = { cause: "killed", code: null, signal: "SIGKILL", evidence: ["by a manager"], at: 0 } as const;
  const facts = shown({ ...running, state: "exited", pid: null, jailed: false, exit, limits: {} });
  assert.deepEqual(
    [facts.exit, facts.evidence, facts.jailed, facts.pid, facts.root, facts.cgroup, facts.limits],
    ["killed (SIGKILL)", "by a manager", "no", undefined, undefined, undefined, "none"],
  );
});

test("with cgroup v2 there is one directory", () => {
  const cgroup = { version: 2, directories: { memory: "/cg/jailer/vm-1" } } as unknown as VmView["cgroup"];
  assert.equal(shown({ ...running, cgroup }).cgroup, "v2, /cg/jailer/vm-1");
});

test("what was lost of its output is told, and that nobody knows how much more", () => {
  const output = (droppedBytes: number, gaps: number) => ({ limitBytes: 4 * 1024 * 1024, droppedBytes, gaps });
  const facts = (console: ReturnType<typeof output>) => shown({ ...running, output: { console, log: output(0, 0) } });
  assert.equal(facts(output(0, 0)).console, undefined);
  assert.equal(facts(output(2048, 0)).console, "the newest 4 MiB are kept, 2 KiB were dropped");
  assert.match(
    facts(output(0, 1)).console ?? "",
    /0 B were dropped, and once an unknown amount while no manager read it$/,
  );
  assert.match(facts(output(0, 3)).console ?? "", /3 times an unknown amount/);
});
