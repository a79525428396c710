import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { IoLimit, Limits } from "../vm/limits.ts";
import { type CompileContext, type CompiledLimits, compileLimits } from "./compile.ts";
import { jailerCgroups, settingHolds, wantedText } from "./setting.ts";
import { throttlesOf } from "./throttle.ts";

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

const rate = fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), { nil: undefined });
const device = fc.tuple(fc.nat(300), fc.nat(255)).map(([major, minor]) => `${major}:${minor}`);
const cpuList = fc
  .array(fc.tuple(fc.nat(255), fc.nat(8)), { minLength: 1, maxLength: 5 })
  .map((ranges) => ranges.map(([first, more]) => `${first}-${first + more}`).join(","));
const ioLimit = fc.record({
  device,
  readBytesPerSecond: rate,
  writeBytesPerSecond: rate,
  readOperationsPerSecond: rate,
  writeOperationsPerSecond: rate,
});
const anyLimits = fc.record(
  {
    memoryBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    cpuPercent: fc.integer({ min: 1, max: 100_000 }),
    cpuWeight: fc.integer({ min: 1, max: 10_000 }),
    cpus: cpuList,
    memoryNodes: cpuList,
    pids: fc.integer({ min: 1, max: 4_194_304 }),
    io: fc.array(ioLimit, { maxLength: 4 }),
  },
  { requiredKeys: [] },
) as unknown as fc.Arbitrary<Limits>;
const swapFiles = { 1: fc.subarray([...v1.swapFiles]), 2: fc.subarray([...v2.swapFiles]) };
const anyContext = fc.constantFrom(1 as const, 2 as const).chain((version) =>
  fc.record({
    version: fc.constant(version),
    pageBytes: fc.constantFrom(4096, 16_384, 65_536),
    swapFiles: swapFiles[version],
    allCpus: fc.constant("0-63"),
    allMemoryNodes: fc.constant("0"),
    hasCpuacct: fc.boolean(),
  }),
);

describe("any limits", () => {
  it("compile to arguments of the jailer's grammar", () => {
    fc.assert(
      fc.property(anyLimits, anyContext, (limits, context) => {
        for (const argument of jailerCgroups(compileLimits(limits, context).settings)) {
          const [file = "", value = "", ...more] = argument.split("=");
          assert.equal(more.length, 0, `one = in ${argument}`);
          assert.notEqual(value, "");
          assert.match(file, /^[a-z]+\.[a-z_.]+$/);
          assert.ok(!file.includes("/") && !file.split("/").includes(".."));
        }
      }),
    );
  });

  it("always place the VM in memory, cpu and pids by way of the jailer", () => {
    fc.assert(
      fc.property(anyLimits, anyContext, (limits, context) => {
        const compiled = compileLimits(limits, context);
        const named = new Set(jailerCgroups(compiled.settings).map((each) => each.split(".")[0]));
        for (const controller of ["memory", "cpu", "pids"]) assert.ok(named.has(controller), controller);
        for (const { controller } of compiled.settings)
          assert.ok(compiled.controllers.includes(controller), controller);
      }),
    );
  });

  it("are found to hold in what the kernel then says, and in nothing else", () => {
    fc.assert(
      fc.property(anyLimits, anyContext, (limits, context) => {
        for (const setting of compileLimits(limits, context).settings) {
          assert.ok(settingHolds(setting, `${wantedText(setting)}\n`), setting.file);
          assert.ok(!settingHolds(setting, ""), setting.file);
          assert.ok(!settingHolds(setting, `${wantedText(setting)}0\n`), setting.file);
        }
      }),
    );
  });

  it("mean the same in both versions", () => {
    fc.assert(
      fc.property(anyLimits, (limits) => {
        assert.deepEqual(meaningOfV1(compileLimits(limits, v1)), meaningOfV2(compileLimits(limits, v2)));
      }),
    );
  });
});

/** What limits come to: the common ground of both versions. */
interface Meaning {
  readonly memory: string;
  readonly cores: number;
  readonly weight: number;
  readonly pids: string;
  readonly throttles: string[];
}

const settingOf = (compiled: CompiledLimits, file: string) => compiled.settings.find((each) => each.file === file);

function meaningOfV2(compiled: CompiledLimits): Meaning {
  const memory = settingOf(compiled, "memory.max")?.stored;
  const [quota = "", period = ""] = settingOf(compiled, "cpu.max")?.value.split(" ") ?? [];
  return {
    memory: memory?.kind === "text" ? memory.text : "",
    cores: quota === "max" ? Number.POSITIVE_INFINITY : Number(quota) / Number(period),
    weight: Number(settingOf(compiled, "cpu.weight")?.value ?? 100),
    pids: settingOf(compiled, "pids.max")?.value ?? "",
    throttles: compiled.settings
      .filter(({ file }) => file === "io.max")
      .flatMap(({ value }) => {
        const [name, ...rates] = value.split(" ");
        return rates.filter((each) => !each.endsWith("=max")).map((each) => `${name} ${each}`);
      })
      .sort(),
  };
}

function meaningOfV1(compiled: CompiledLimits): Meaning {
  const memory = settingOf(compiled, "memory.limit_in_bytes")?.stored;
  const quota = Number(settingOf(compiled, "cpu.cfs_quota_us")?.value);
  const shares = Number(settingOf(compiled, "cpu.shares")?.value ?? 1024);
  const text = memory?.kind === "text" ? memory.text : "";
  return {
    memory: text === "9223372036854771712" ? "max" : text,
    cores: quota < 0 ? Number.POSITIVE_INFINITY : quota / Number(settingOf(compiled, "cpu.cfs_period_us")?.value),
    // As the kernel shows shares as a weight (sched_weight_to_cgroup in kernel/sched/core.c).
    weight: Math.round((shares * 100) / 1024),
    pids: settingOf(compiled, "pids.max")?.value ?? "",
    throttles: compiled.settings
      .filter(({ controller }) => controller === "blkio")
      .map(({ control, value }) => {
        const key = control.split(".").at(-1);
        const [name, limit] = value.split(" ");
        return `${name} ${key}=${limit}`;
      })
      .sort(),
  };
}

describe("throttlesOf", () => {
  it("names each device once", () => {
    fc.assert(
      fc.property(fc.array(ioLimit, { maxLength: 8 }), (io) => {
        const devices = throttlesOf(io as IoLimit[]).map((each) => each.device);
        assert.equal(new Set(devices).size, devices.length);
      }),
    );
  });
});
