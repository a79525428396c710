import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { apiSocketPath, buildJailerArgs, isWarderError, jailerConfig, validateJailerConfig } from "../../src/index.ts";

const execFile = process.execPath;

/** The `--cgroup` values of a command line, by file. */
function cgroupsOf(args: readonly string[]): Record<string, string> {
  const ours = args.slice(0, args.indexOf("--"));
  const values = ours.filter((_each, index) => ours[index - 1] === "--cgroup");
  return Object.fromEntries(values.map((value) => value.split("=", 2)));
}

function refuses(overrides: Parameters<typeof jailerConfig>[1], text: string): void {
  const config = jailerConfig("vm-1", { execFile, ...overrides });
  assert.throws(
    () => validateJailerConfig(config),
    (error) => isWarderError(error) && error.why.startsWith(text),
  );
  assert.throws(() => buildJailerArgs(config), isWarderError);
}

test("test_cpu_count_valid", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 15 }), fc.constantFrom(1 as const, 2 as const), (cpuCount, cgroupVersion) => {
      const config = jailerConfig("vm-1", { execFile, cpuCount, cgroupVersion });
      validateJailerConfig(config);
      const cgroups = cgroupsOf(buildJailerArgs(config));
      const quota = String(cpuCount * 100_000);
      if (cgroupVersion === 2) assert.equal(cgroups["cpu.max"], `${quota} 100000`);
      else assert.deepEqual([cgroups["cpu.cfs_quota_us"], cgroups["cpu.cfs_period_us"]], [quota, "100000"]);
      // The CPUs say nothing about the memory.
      assert.equal(cgroups[cgroupVersion === 2 ? "memory.max" : "memory.limit_in_bytes"], "268435456");
    }),
  );
  fc.assert(fc.property(fc.integer({ max: 0 }), (cpuCount) => refuses({ cpuCount }, "CPU count must be > 0")));
  fc.assert(fc.property(fc.integer({ min: 33 }), (cpuCount) => refuses({ cpuCount }, "CPU count must be at most 32")));
  fc.assert(
    fc.property(fc.double({ min: 1, max: 32, noNaN: true }), (cpuCount) => {
      fc.pre(!Number.isInteger(cpuCount));
      refuses({ cpuCount }, "CPU count must be a whole number");
    }),
  );
});

test("test_memory_limit_valid", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 128, max: 4096 }),
      fc.constantFrom(1 as const, 2 as const),
      (memoryLimitMb, cgroupVersion) => {
        const config = jailerConfig("vm-1", { execFile, memoryLimitMb, cgroupVersion });
        validateJailerConfig(config);
        const cgroups = cgroupsOf(buildJailerArgs(config));
        const bytes = BigInt(memoryLimitMb) * 1024n * 1024n;
        assert.equal(cgroups[cgroupVersion === 2 ? "memory.max" : "memory.limit_in_bytes"], String(bytes));
        if (cgroupVersion === 2) assert.equal(cgroups["memory.swap.max"], "0");
        // Memory and swap together, which v1 counts as one.
        else assert.equal(cgroups["memory.memsw.limit_in_bytes"], String(bytes));
      },
    ),
  );
  fc.assert(
    fc.property(fc.integer({ max: 127 }), (memoryLimitMb) =>
      refuses({ memoryLimitMb }, `Memory must be at least 128 MB, got ${memoryLimitMb}`),
    ),
  );
});

test("every valid id stands in the command line and the socket's path as it is, and nowhere else", () => {
  const ids = fc.string({ unit: fc.constantFrom(..."abzABZ019-"), minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(ids, (id) => {
      const args = buildJailerArgs(jailerConfig(id, { jailerBinary: "/j", execFile: "/opt/firecracker_x" }));
      assert.equal(args[args.indexOf("--id") + 1], id);
      assert.equal(args.indexOf("--id"), 0);
      assert.equal(
        apiSocketPath(jailerConfig(id, { execFile: "/opt/firecracker_x" })),
        `/var/jail/firecracker_x/${id}/root/run/firecracker.socket`,
      );
    }),
  );
});

test("no text that is not a valid id gets into a command line", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."a0-_./ $&{é\0\n"), maxLength: 70 }), (id) => {
      fc.pre(!/^[A-Za-z0-9-]{1,64}$/.test(id));
      assert.throws(() => buildJailerArgs(jailerConfig(id)), isWarderError);
      assert.throws(() => apiSocketPath(jailerConfig(id)), isWarderError);
      assert.throws(() => apiSocketPath(jailerConfig(id), false), isWarderError);
    }),
  );
});
