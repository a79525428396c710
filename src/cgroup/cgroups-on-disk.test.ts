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
import { ancestorsOf, ensureParent } from "./parent.ts";
import { readMembership, readSettings } from "./prove.ts";
import { readUsage } from "./usage.ts";

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

describe("ensureParent", () => {
  const check = () => ensureParent(host, v2Placement(), ["memory", "cpu", "pids"]);

  it("names every directory between the mount and the VM", () => {
    assert.deepEqual(ancestorsOf(v2Placement()), [root, at("jailer")]);
  });

  it("refuses an id whose cgroup is there already, on either version", () => {
    file("memory/jailer/vm-1/cgroup.procs", "");
    assert.equal(
      refusal(() => ensureParent(host, v1Placement("cpu", "memory"), ["cpu", "memory"])).code,
      "jail-exists",
    );
    file("jailer/vm-1/cgroup.procs", "");
    assert.equal(refusal(check).code, "jail-exists");
  });

  it("lets processes be in the root of the hierarchy, which has no type", () => {
    file("cgroup.controllers", "memory cpu pids io");
    file("cgroup.subtree_control", "");
    file("cgroup.procs", "1\n2\n");
    check();
  });

  it("refuses a root that holds processes where it is a container's, and names them", () => {
    file("cgroup.controllers", "memory cpu pids io");
    file("cgroup.subtree_control", "memory");
    file("cgroup.type", "domain");
    file("cgroup.procs", "1\n20\n");
    const error = refusal(check);
    assert.equal(error.code, "cgroup-unavailable");
    assert.match(error.why, /holds 2 process\(es\) \(1, 20\), so it can not pass cpu, pids down/);
    assert.match(error.cure ?? "", /Move them/);
  });

  it("refuses a parent that holds processes, or lacks a controller, or is threaded", () => {
    file("cgroup.controllers", "memory cpu pids");
    file("cgroup.subtree_control", "memory cpu pids");
    file("jailer/cgroup.controllers", "memory cpu pids");
    file("jailer/cgroup.subtree_control", "");
    file("jailer/cgroup.type", "domain");
    file("jailer/cgroup.procs", "7\n");
    assert.match(refusal(check).why, /holds 1 process/);
    file("jailer/cgroup.procs", "");
    check();
    file("jailer/cgroup.type", "threaded");
    assert.match(refusal(check).why, /it is threaded/);
    file("jailer/cgroup.controllers", "memory");
    assert.match(refusal(check).why, /it lacks cpu, pids/);
  });

  it("takes a parent that passes everything down already, whatever else is true of it", () => {
    for (const path of ["", "jailer/"]) file(`${path}cgroup.subtree_control`, "memory cpu pids");
    file("jailer/cgroup.procs", "");
    check();
  });
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

describe("readSettings", () => {
  const context = {
    version: 2,
    pageBytes: 4096,
    swapFiles: [],
    allCpus: "0",
    allMemoryNodes: "0",
    hasCpuacct: false,
  } as const;

  it("compares every file with what was asked, page rounding and other devices' lines allowed for", () => {
    file("jailer/vm-1/memory.max", "134217728\n");
    file("jailer/vm-1/cpu.max", "50000 100000\n");
    file("jailer/vm-1/pids.max", "max\n");
    file("jailer/vm-1/io.max", "8:16 rbps=7 wbps=max riops=max wiops=max\n8:0 rbps=1 wbps=max riops=max wiops=max\n");
    const limits = {
      memoryBytes: 134_217_729 as never,
      cpuPercent: 100,
      io: [{ device: "8:0", readBytesPerSecond: 1 }],
    };
    const { settings } = compileLimits(limits, context);
    assert.deepEqual(readSettings(host, v2Placement(["memory", "cpu", "pids", "io"]), settings), [
      { control: "limit.memory", wanted: "134217728", found: "134217728", ok: true },
      { control: "limit.cpu", wanted: "100000 100000", found: "50000 100000", ok: false },
      { control: "limit.pids", wanted: "max", found: "max", ok: true },
      {
        control: "limit.io.8:0",
        wanted: "8:0 rbps=1 wbps=max riops=max wiops=max",
        found: "8:0 rbps=1 wbps=max riops=max wiops=max",
        ok: true,
      },
    ]);
  });

  it("counts a file that is not there as a control that does not hold", () => {
    const [memory] = readSettings(host, v2Placement(), compileLimits({}, context).settings);
    assert.deepEqual([memory?.ok, memory?.found.endsWith("memory.max can not be read: ENOENT")], [false, true]);
  });
});

describe("readMembership", () => {
  it("believes the cgroup, and says where a process is that is not in it", () => {
    file("cpu/jailer/vm-1/cgroup.procs", "10\n4711\n");
    file("memory/jailer/vm-1/cgroup.procs", "10\n");
    file("proc/4711/cgroup", "4:memory:/manager.slice\n1:cpu:/jailer/vm-1\n");
    const inRoot = { ...host, roots: { ...host.roots, proc: at("proc") } };
    assert.deepEqual(readMembership(inRoot, v1Placement("cpu", "memory", "pids"), 4711), [
      { control: "cgroup.cpu", wanted: at("cpu/jailer/vm-1"), found: at("cpu/jailer/vm-1"), ok: true },
      { control: "cgroup.memory", wanted: at("memory/jailer/vm-1"), found: "elsewhere, in /manager.slice", ok: false },
      { control: "cgroup.pids", wanted: at("pids/jailer/vm-1"), found: "no such cgroup", ok: false },
    ]);
  });
});

describe("readUsage", () => {
  it("reads v2's figures", () => {
    const figures = {
      "memory.current": "1048576\n",
      "memory.peak": "2097152\n",
      "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n",
      "cpu.stat": "usage_usec 5000\nuser_usec 1\nnr_periods 9\nnr_throttled 4\nthrottled_usec 77\n",
      "pids.current": "5\n",
      "pids.peak": "6\n",
      "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=0 rios=1 wios=0\n",
    };
    for (const [name, text] of Object.entries(figures)) file(`jailer/vm-1/${name}`, text);
    assert.deepEqual(readUsage(host, v2Placement()), {
      memoryBytes: 1_048_576,
      memoryPeakBytes: 2_097_152,
      oomKills: 2,
      cpuMicroseconds: 5000,
      throttledPeriods: 4,
      throttledMicroseconds: 77,
      pids: 5,
      pidsPeak: 6,
      readBytes: 15,
      writtenBytes: 20,
    });
  });

  it("reads v1's figures, whose times are in nanoseconds", () => {
    file("memory/jailer/vm-1/memory.usage_in_bytes", "4096\n");
    file("memory/jailer/vm-1/memory.max_usage_in_bytes", "8192\n");
    file("memory/jailer/vm-1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    file("cpu/jailer/vm-1/cpu.stat", "nr_periods 2\nnr_throttled 1\nthrottled_time 5500\n");
    file("cpuacct/jailer/vm-1/cpuacct.usage", "9007199254740990999\n");
    file("pids/jailer/vm-1/pids.current", "3\n");
    file("blkio/jailer/vm-1/blkio.throttle.io_service_bytes", "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n");
    assert.deepEqual(readUsage(host, v1Placement("memory", "cpu", "cpuacct", "pids", "blkio")), {
      memoryBytes: 4096,
      memoryPeakBytes: 8192,
      oomKills: 1,
      cpuMicroseconds: 9_007_199_254_740_990,
      throttledPeriods: 1,
      throttledMicroseconds: 5,
      pids: 3,
      readBytes: 10,
      writtenBytes: 20,
    });
  });

  it("invents nothing: what is not there is absent, and so is what is no number", () => {
    assert.deepEqual(readUsage(host, v2Placement()), {});
    file("jailer/vm-1/memory.current", "many\n");
    file("jailer/vm-1/cpu.stat", "usage_usec 7\n");
    assert.deepEqual(readUsage(host, v2Placement()), { cpuMicroseconds: 7 });
  });

  it("tells a device that was not used yet from one that is not counted", () => {
    file("jailer/vm-1/io.stat", "");
    assert.deepEqual(readUsage(host, v2Placement()), { readBytes: 0, writtenBytes: 0 });
  });
});
