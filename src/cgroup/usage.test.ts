import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openHost } from "../host/real/host.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
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

const at = (path: string): HostPath => toHostPath(join(root, path));

const v2Placement = (): CgroupPlacement => ({
  version: 2,
  path: "/jailer/vm-1",
  directories: Object.fromEntries(["memory", "cpu", "pids"].map((each) => [each, at("jailer/vm-1")])),
});
const v1Placement = (...controllers: string[]): CgroupPlacement => ({
  version: 1,
  path: "/jailer/vm-1",
  directories: Object.fromEntries(controllers.map((each) => [each, at(`${each}/jailer/vm-1`)])),
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
