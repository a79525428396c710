import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isWarderError } from "../vm/error.ts";
import type { IoLimit, Limits } from "../vm/limits.ts";
import type { Bytes } from "../vm/size.ts";
import { type CompileContext, type CompiledLimits, compileLimits } from "./compile.ts";
import { jailerCgroups, wantedText } from "./setting.ts";

const v2: CompileContext = {
  version: 2,
  pageBytes: 4096,
  swapFiles: ["memory.swap.max"],
  allCpus: "0-7",
  allMemoryNodes: "0",
  hasCpuacct: false,
};
const v1: CompileContext = {
  ...v2,
  version: 1,
  swapFiles: ["memory.memsw.limit_in_bytes", "memory.swappiness"],
  hasCpuacct: true,
};
const bytes = (count: number) => count as Bytes;
const written = ({ settings }: CompiledLimits) => settings.map(({ file, value }) => `${file}=${value}`);

describe("compileLimits, for v2", () => {
  it("names memory, cpu and pids where nothing is limited, so that the VM leaves the manager's cgroup", () => {
    const compiled = compileLimits({}, { ...v2, swapFiles: [] });
    assert.deepEqual(written(compiled), ["memory.max=max", "cpu.max=max 100000", "pids.max=max"]);
    assert.deepEqual(compiled.controllers, ["memory", "cpu", "pids"]);
    assert.deepEqual(compiled.joins, []);
  });

  it("writes every limit into its file", () => {
    const limits: Limits = {
      memoryBytes: bytes(134_217_728),
      cpuPercent: 150,
      cpuWeight: 200,
      cpus: "1,0",
      memoryNodes: "0",
      pids: 1024,
      io: [{ device: "8:0", writeBytesPerSecond: 1_048_576, readOperationsPerSecond: 100 }],
    };
    assert.deepEqual(written(compileLimits(limits, v2)), [
      "memory.max=134217728",
      "memory.swap.max=0",
      "cpu.max=150000 100000",
      "cpu.weight=200",
      "pids.max=1024",
      "cpuset.mems=0",
      "cpuset.cpus=0-1",
      "io.max=8:0 rbps=max wbps=1048576 riops=100 wiops=max",
    ]);
  });

  it("leaves swap alone where the kernel has no file for it", () => {
    const files = compileLimits({}, { ...v2, swapFiles: [] }).settings.map(({ file }) => file);
    assert.ok(!files.includes("memory.swap.max"));
  });

  it("leaves io.max to the manager, as the jailer takes no `=` in a value", () => {
    const compiled = compileLimits({ io: [{ device: "8:0", readBytesPerSecond: 1 }] }, v2);
    assert.ok(jailerCgroups(compiled.settings).every((each) => !each.startsWith("io.")));
    assert.deepEqual(
      compiled.settings.filter(({ carrier }) => carrier === "manager").map(({ file }) => file),
      ["io.max"],
    );
  });
});

describe("compileLimits, for v1", () => {
  it("names memory, cpu and pids where nothing is limited", () => {
    const compiled = compileLimits({}, { ...v1, swapFiles: [], hasCpuacct: false });
    assert.deepEqual(written(compiled), [
      "memory.limit_in_bytes=-1",
      "cpu.cfs_period_us=100000",
      "cpu.cfs_quota_us=-1",
      "pids.max=max",
    ]);
    assert.deepEqual(compiled.controllers, ["memory", "cpu", "pids"]);
    assert.equal(wantedText(compiled.settings[0] as never), "9223372036854771712");
  });

  it("writes the figures that operators of seed-era managers know", () => {
    const limits = { memoryBytes: bytes(134_217_728), cpuPercent: 100, pids: 1024 };
    assert.deepEqual(jailerCgroups(compileLimits(limits, { ...v1, swapFiles: [] }).settings), [
      "memory.limit_in_bytes=134217728",
      "cpu.cfs_period_us=100000",
      "cpu.cfs_quota_us=100000",
      "pids.max=1024",
    ]);
  });

  it("bounds memory and swap together after memory alone, as the kernel refuses the other order", () => {
    const files = compileLimits({ memoryBytes: bytes(1 << 27) }, v1).settings.map(({ file }) => file);
    assert.deepEqual(files.slice(0, 3), ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.swappiness"]);
  });

  it("fills both files of a cpuset, as the kernel lets no process into one that lacks either", () => {
    const cpusets = (limits: Limits) => written(compileLimits(limits, v1)).filter((each) => each.startsWith("cpuset."));
    assert.deepEqual(cpusets({ cpus: "1" }), ["cpuset.mems=0", "cpuset.cpus=1"]);
    assert.deepEqual(cpusets({ memoryNodes: "0" }), ["cpuset.mems=0", "cpuset.cpus=0-7"]);
  });

  it("has the manager join cpuacct, which has nothing to set, and blkio, whose files the jailer fails on", () => {
    const compiled = compileLimits({ io: [{ device: "8:0", readBytesPerSecond: 5 }] }, v1);
    assert.deepEqual(compiled.joins, ["blkio", "cpuacct"]);
    assert.deepEqual(compiled.controllers, ["memory", "cpu", "pids", "blkio", "cpuacct"]);
    const [throttle] = compiled.settings.filter(({ carrier }) => carrier === "manager");
    assert.equal(`${throttle?.file}=${throttle?.value}`, "blkio.throttle.read_bps_device=8:0 5");
  });

  it("takes the largest whole number of pages for no limit, whatever a page is", () => {
    const [memory] = compileLimits({}, { ...v1, pageBytes: 65_536 }).settings;
    assert.equal(memory === undefined ? "" : wantedText(memory), "9223372036854710272");
  });
});

describe("compileLimits, for both", () => {
  it("refuses a list of CPUs that runs backwards by the name of its field", () => {
    for (const context of [v1, v2]) {
      assert.throws(
        () => compileLimits({ cpus: "3-1" }, context),
        (error) =>
          isWarderError(error) && error.code === "invalid-argument" && error.fields[0]?.field === "limits.cpus",
      );
    }
  });

  it("takes the last word where a device is named twice, and drops throttles that limit nothing", () => {
    const io: IoLimit[] = [
      { device: "8:0", readBytesPerSecond: 1 },
      { device: "8:16" },
      { device: "8:0", readBytesPerSecond: 2, writeOperationsPerSecond: 0xffff_ffff },
    ];
    const lines = compileLimits({ io }, v2).settings.filter(({ file }) => file === "io.max");
    assert.deepEqual(
      lines.map(({ value }) => value),
      ["8:0 rbps=2 wbps=max riops=max wiops=max"],
    );
  });
});
