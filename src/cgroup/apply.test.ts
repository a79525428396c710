import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openHost } from "../host/real/host.ts";
import { isWarderError, type WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import { applySettings, joinControllers, makeCgroups } from "./apply.ts";
import { compileLimits } from "./compile.ts";

/** A directory stands in for a mounted hierarchy: files that the kernel would show are written by the tests. */
const host = openHost();
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "warder-cgroup-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const read = (path: string) => readFileSync(join(root, path), "utf8");
const at = (path: string): HostPath => toHostPath(join(root, path));

function refusal(act: () => unknown): WarderError {
  try {
    act();
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it was not refused");
}

const v2Placement = (controllers: readonly string[] = ["memory", "cpu", "pids"]): CgroupPlacement => ({
  version: 2,
  path: "/jailer/vm-1",
  directories: Object.fromEntries(controllers.map((each) => [each, at("jailer/vm-1")])),
});
const v1Placement = (...controllers: string[]): CgroupPlacement => ({
  version: 1,
  path: "/jailer/vm-1",
  directories: Object.fromEntries(controllers.map((each) => [each, at(`${each}/jailer/vm-1`)])),
});

describe("applySettings", () => {
  it("passes io down and writes io.max, and nothing that the jailer writes", () => {
    file("cgroup.subtree_control", "memory");
    file("jailer/cgroup.subtree_control", "");
    file("jailer/vm-1/io.max", "");
    file("jailer/vm-1/memory.max", "untouched");
    const { settings } = compileLimits(
      { io: [{ device: "8:0", readBytesPerSecond: 1 }] },
      { version: 2, pageBytes: 4096, swapFiles: [], allCpus: "0", allMemoryNodes: "0", hasCpuacct: false },
    );
    applySettings(host, v2Placement(["memory", "cpu", "pids", "io"]), settings);
    assert.equal(read("jailer/vm-1/io.max"), "8:0 rbps=1 wbps=max riops=max wiops=max");
    assert.equal(read("jailer/vm-1/memory.max"), "untouched");
    assert.match(read("cgroup.subtree_control"), /^\+io/);
    assert.equal(read("jailer/cgroup.subtree_control"), "+io");
  });

  it("says which disk was wrong where the kernel takes a throttle not", () => {
    mkdirSync(join(root, "blkio/jailer/vm-1"), { recursive: true });
    const { settings } = compileLimits(
      { io: [{ device: "8:1", readBytesPerSecond: 1 }] },
      { version: 1, pageBytes: 4096, swapFiles: [], allCpus: "0", allMemoryNodes: "0", hasCpuacct: false },
    );
    const error = refusal(() => applySettings(host, v1Placement("blkio"), settings));
    assert.equal(error.code, "cgroup-unavailable");
    assert.match(error.cure ?? "", /whole disk, not a partition: 8:1/);
  });
});

describe("makeCgroups", () => {
  it("fills a v1 cpuset from above, parent first, as nothing can be put into an empty one", () => {
    for (const [path, text] of Object.entries({ "": "0-3\n", "jailer/": "\n", "jailer/vm-1/": "\n" })) {
      file(`cpuset/${path}cpuset.cpus`, text);
      file(`cpuset/${path}cpuset.mems`, text === "\n" ? "\n" : "0\n");
    }
    makeCgroups(host, v1Placement("cpuset"), [], ["cpuset"]);
    assert.deepEqual([read("cpuset/jailer/cpuset.cpus"), read("cpuset/jailer/vm-1/cpuset.mems")], ["0-3", "0"]);
  });

  it("can be done twice", () => {
    mkdirSync(join(root, "pids"));
    makeCgroups(host, v1Placement("pids"), [], ["pids"]);
    makeCgroups(host, v1Placement("pids"), [], ["pids"]);
    assert.ok(existsSync(join(root, "pids/jailer/vm-1")));
  });
});

describe("joinControllers", () => {
  it("puts the process in, once for each directory, and leaves alone what the jailer entered", () => {
    file("blkio/jailer/vm-1/cgroup.procs", "");
    file("cpu,cpuacct/jailer/vm-1/cgroup.procs", "");
    const placement: CgroupPlacement = {
      version: 1,
      path: "/jailer/vm-1",
      directories: {
        cpu: at("cpu,cpuacct/jailer/vm-1"),
        cpuacct: at("cpu,cpuacct/jailer/vm-1"),
        blkio: at("blkio/jailer/vm-1"),
      },
    };
    joinControllers(host, placement, ["cpuacct", "blkio"], 4711);
    assert.equal(read("blkio/jailer/vm-1/cgroup.procs"), "4711");
    assert.equal(read("cpu,cpuacct/jailer/vm-1/cgroup.procs"), "");
  });
});
