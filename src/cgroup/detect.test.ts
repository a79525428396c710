import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Host } from "../host/host.ts";
import { openHost } from "../host/real/host.ts";
import { detectCgroups } from "./detect.ts";

describe("detectCgroups", () => {
  let root: string;
  let host: Host;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "warder-cgroup-"));
    host = { ...openHost(), roots: { proc: join(root, "proc"), sys: join(root, "sys"), dev: "/dev" } };
  });

  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function file(path: string, text: string | Uint8Array): void {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  const mounts = (...lines: string[]) => file("proc/self/mounts", `${lines.join("\n")}\n`);

  it("finds the v1 hierarchies, joint and named ones too, in their order", () => {
    mounts(
      `cgroup ${root}/cg/cpu,cpuacct cgroup rw,nosuid,relatime,cpu,cpuacct 0 0`,
      `cgroup ${root}/cg/memory cgroup ro,relatime,memory,clone_children 0 0`,
      `cgroup ${root}/cg/systemd cgroup rw,relatime,xattr,name=systemd 0 0`,
    );
    assert.deepEqual(detectCgroups(host).v1, [
      { directory: `${root}/cg/cpu,cpuacct`, controllers: ["cpu", "cpuacct"], writable: true },
      { directory: `${root}/cg/memory`, controllers: ["memory"], writable: false },
      { directory: `${root}/cg/systemd`, controllers: [], name: "systemd", writable: true },
    ]);
  });

  it("takes the first cgroup2 mount, as the jailer does, and what controllers it really holds", () => {
    file("cg2/cgroup.controllers", "hugetlb misc\n");
    mounts(`cgroup2 ${root}/cg2 cgroup2 rw 0 0`, `cgroup2 ${root}/other cgroup2 rw 0 0`);
    assert.deepEqual(detectCgroups(host).v2, {
      directory: `${root}/cg2`,
      controllers: ["hugetlb", "misc"],
      writable: true,
    });
  });

  it("finds nothing on a host without cgroups, and says so without throwing", () => {
    const { v1, v2, pageBytes, swapFiles } = detectCgroups(host);
    assert.deepEqual(
      { v1, v2, pageBytes, swapFiles },
      { v1: [], v2: undefined, pageBytes: 4096, swapFiles: { v1: [], v2: [] } },
    );
  });

  it("reads the page size that the kernel told the process", () => {
    const vector = Buffer.alloc(48);
    vector.writeBigUInt64LE(3n, 0);
    vector.writeBigUInt64LE(6n, 16);
    vector.writeBigUInt64LE(65_536n, 24);
    file("proc/self/auxv", vector);
    assert.equal(detectCgroups(host).pageBytes, 65_536);
  });

  it("names the files that forbid swap on v1, the total before the preference", () => {
    file("cg/memory/memory.swappiness", "60");
    file("cg/memory/memory.memsw.limit_in_bytes", "1");
    mounts(`cgroup ${root}/cg/memory cgroup rw,memory 0 0`);
    assert.deepEqual(detectCgroups(host).swapFiles.v1, ["memory.memsw.limit_in_bytes", "memory.swappiness"]);
  });

  describe("on v2", () => {
    const swap = () => detectCgroups(host).swapFiles.v2;

    beforeEach(() => {
      file("cg2/cgroup.controllers", "memory\n");
      mounts(`cgroup2 ${root}/cg2 cgroup2 rw 0 0`);
    });

    it("asks a cgroup below the root whether swap can be forbidden", () => {
      file("cg2/system.slice/memory.max", "max");
      file("proc/swaps", "");
      assert.deepEqual(swap(), []);
      file("cg2/system.slice/memory.swap.max", "max");
      assert.deepEqual(swap(), ["memory.swap.max"]);
    });

    it("asks the kernel where there is no cgroup to ask", () => {
      assert.deepEqual(swap(), []);
      file("proc/swaps", "");
      assert.deepEqual(swap(), ["memory.swap.max"]);
      file("proc/cmdline", "quiet swapaccount=0\n");
      assert.deepEqual(swap(), []);
    });
  });

  it("reads the CPUs and nodes that a v1 cpuset can be given", () => {
    file("cg/cpuset/cpuset.cpus", "0-3\n");
    file("cg/cpuset/cpuset.mems", "0\n");
    mounts(`cgroup ${root}/cg/cpuset cgroup rw,cpuset 0 0`);
    assert.deepEqual(detectCgroups(host).v1Cpuset, { cpus: "0-3", memoryNodes: "0" });
  });
});
