import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  apiSocketPath,
  buildJailerArgs,
  defaultJailerConfig,
  defaultVmConfig,
  isWarderError,
  type JailerConfig,
  jailerConfig,
  toJailerConfig,
  validateJailerConfig,
  validateVmConfig,
  vmConfig,
  type WarderError,
} from "../../src/index.ts";
import { sandboxedVmProblems } from "../../src/simple/vm-config.ts";

/** Something that is there: what it is, is not for a configuration to know. */
const execFile = process.execPath;

function refusal(work: () => unknown): WarderError {
  try {
    work();
  } catch (error) {
    assert.ok(isWarderError(error), String(error));
    return error;
  }
  return assert.fail("nothing was refused");
}

const refusalOf = (overrides: Partial<JailerConfig>) =>
  refusal(() => validateJailerConfig({ ...defaultJailerConfig, jailerId: "vm-1", execFile, ...overrides }));

test("test_default_config", () => {
  assert.deepEqual(defaultJailerConfig, {
    jailerId: "warder-vm",
    execFile: "/usr/local/bin/firecracker-v1.14.1",
    jailerBinary: "/usr/local/bin/jailer",
    chrootBaseDir: "/var/jail",
    cpuCount: 1,
    memoryLimitMb: 256,
  });
  assert.ok(Object.isFrozen(defaultJailerConfig));
  assert.deepEqual(defaultVmConfig, { vmId: "default", vcpuCount: 1, memoryMb: 256 });
});

test("test_config_new", () => {
  assert.deepEqual(jailerConfig("secure-vm-123"), { ...defaultJailerConfig, jailerId: "secure-vm-123" });
  const advanced = jailerConfig("vm-2", { cpuCount: 2, memoryLimitMb: 512, netns: "/run/netns/isolated" });
  assert.deepEqual([advanced.cpuCount, advanced.memoryLimitMb, advanced.netns], [2, 512, "/run/netns/isolated"]);
  assert.equal(advanced.chrootBaseDir, "/var/jail");
  assert.equal(vmConfig("my-agent-task", { vcpuCount: 4 }).vcpuCount, 4);
});

test("test_config_validate_success", () => {
  const everything = { cpuCount: 32, memoryLimitMb: 128, netns: "/run/netns/x", uid: 1, gid: 4294967294 };
  assert.doesNotThrow(() => validateJailerConfig(jailerConfig("vm-1", { execFile })));
  assert.doesNotThrow(() => validateJailerConfig(jailerConfig("a".repeat(64), { execFile, ...everything })));
  assert.doesNotThrow(() => validateVmConfig(vmConfig("vm-1")));
});

test("test_config_validate_cpu_zero", () => {
  const error = refusalOf({ cpuCount: 0 });
  assert.equal(error.code, "invalid-argument");
  assert.equal(error.why, "CPU count must be > 0");
  assert.deepEqual(error.fields, [{ field: "cpuCount", problem: "CPU count must be > 0" }]);
  assert.equal(refusal(() => validateVmConfig(vmConfig("vm-1", { vcpuCount: 0 }))).why, "vCPU count must be > 0");
});

test("test_config_validate_memory_too_low", () => {
  const error = refusalOf({ memoryLimitMb: 127 });
  assert.equal(error.code, "invalid-argument");
  assert.equal(error.why, "Memory must be at least 128 MB, got 127");
  assert.deepEqual(
    error.fields.map(({ field }) => field),
    ["memoryLimitMb"],
  );
  assert.match(refusal(() => validateVmConfig(vmConfig("vm-1", { memoryMb: 64 }))).message, /at least 128 MB/);
});

test("test_build_args", () => {
  assert.deepEqual(buildJailerArgs(jailerConfig("vm-1", { cpuCount: 2, memoryLimitMb: 512 })), [
    ...["--id", "vm-1"],
    ...["--exec-file", "/usr/local/bin/firecracker-v1.14.1"],
    ...["--uid", "500000", "--gid", "500000"],
    ...["--chroot-base-dir", "/var/jail"],
    ...["--cgroup-version", "2"],
    ...["--parent-cgroup", "jailer"],
    ...["--cgroup", "memory.max=536870912"],
    ...["--cgroup", "memory.swap.max=0"],
    ...["--cgroup", "cpu.max=200000 100000"],
    ...["--cgroup", "pids.max=1024"],
    ...["--resource-limit", "no-file=2048"],
    "--",
    ...["--api-sock", "/run/firecracker.socket"],
    ...["--log-path", "/io/log", "--level", "Info"],
    ...["--metrics-path", "/io/metrics"],
  ]);
});

test("test_build_args_with_netns", () => {
  const args = buildJailerArgs(jailerConfig("vm-1", { netns: "/run/netns/isolated" }));
  assert.equal(args[args.indexOf("--netns") + 1], "/run/netns/isolated");
  assert.ok(args.indexOf("--netns") < args.indexOf("--"), "it is the jailer's");
  assert.ok(!buildJailerArgs(jailerConfig("vm-1")).includes("--netns"));
});

test("test_api_socket_path", () => {
  const config = jailerConfig("vm-1");
  assert.equal(apiSocketPath(config), "/var/jail/firecracker-v1.14.1/vm-1/root/run/firecracker.socket");
  assert.equal(apiSocketPath(config, false), "/tmp/firecracker-vm-1.sock");
  const custom = jailerConfig("vm-1", { execFile: "/opt/fc/firecracker", chrootBaseDir: "/srv/jailer" });
  assert.equal(apiSocketPath(custom), "/srv/jailer/firecracker/vm-1/root/run/firecracker.socket");
});

describe("buildJailerArgs()", () => {
  test("has the same limits for cgroup v1, in its files", () => {
    const args = buildJailerArgs(jailerConfig("vm-1", { cgroupVersion: 1, cpuCount: 3, memoryLimitMb: 300 }));
    assert.equal(args[args.indexOf("--cgroup-version") + 1], "1");
    for (const setting of ["memory.limit_in_bytes=314572800", "cpu.cfs_quota_us=300000", "cpu.cfs_period_us=100000"]) {
      assert.equal(args[args.indexOf(setting) - 1], "--cgroup", setting);
    }
    assert.ok(!args.some((each) => each.startsWith("memory.max")));
  });

  test("passes user, group and further limits on", () => {
    const limits = { cpus: "0-1", pids: 99, openFiles: 512, io: [{ device: "8:0", readBytesPerSecond: 1_048_576 }] };
    const args = buildJailerArgs(jailerConfig("vm-1", { uid: 123, gid: 456, limits }));
    assert.deepEqual([args[args.indexOf("--uid") + 1], args[args.indexOf("--gid") + 1]], ["123", "456"]);
    for (const value of ["cpuset.cpus=0-1", "pids.max=99", "no-file=512"]) assert.ok(args.includes(value), value);
    // A throttle has `=` in its value, which the jailer does not take: the manager writes it itself.
    assert.ok(!args.some((each) => each.startsWith("io.max")));
  });

  test("looks at nothing but the configuration", () => {
    const before = buildJailerArgs(jailerConfig("vm-1"));
    process.env.WARDER_PARENT_CGROUP = "elsewhere";
    process.env.WARDER_UID_RANGE = "7:7";
    try {
      assert.deepEqual(buildJailerArgs(jailerConfig("vm-1")), before);
    } finally {
      delete process.env.WARDER_PARENT_CGROUP;
      delete process.env.WARDER_UID_RANGE;
    }
  });

  test("refuses what would become another argument or another path", () => {
    for (const jailerId of ["", "a b", "../x", "-".repeat(65)]) {
      assert.equal(refusal(() => buildJailerArgs(jailerConfig(jailerId))).code, "invalid-argument", jailerId);
    }
    assert.equal(
      refusal(() => buildJailerArgs(jailerConfig("vm-1", { execFile: "firecracker" }))).code,
      "invalid-argument",
    );
    assert.equal(refusal(() => apiSocketPath(jailerConfig("v".repeat(60)))).code, "socket-path-too-long");
    assert.match(
      refusal(() =>
        buildJailerArgs(
          jailerConfig("firecracker-v1.14.1".replaceAll(".", "-"), { execFile: "/x/firecracker-v1-14-1" }),
        ),
      ).message,
      /must not be firecracker-v1-14-1/,
    );
  });
});

describe("validateJailerConfig()", () => {
  test("names all problems at once, the first of them in the text", () => {
    const error = refusalOf({
      jailerId: "a_b",
      cpuCount: 0,
      memoryLimitMb: 1,
      execFile: "/nowhere/firecracker",
      jailerBinary: "",
      chrootBaseDir: "jail",
      netns: "isolated",
      uid: 0,
      gid: -1,
    });
    assert.equal(error.code, "invalid-argument");
    assert.equal(error.why, "CPU count must be > 0");
    assert.deepEqual(error.fields, [
      { field: "cpuCount", problem: "CPU count must be > 0" },
      { field: "memoryLimitMb", problem: "Memory must be at least 128 MB, got 1" },
      { field: "execFile", problem: "Firecracker binary not found at /nowhere/firecracker" },
      { field: "jailerId", problem: "may hold only the letters a to z and A to Z, digits and hyphens" },
      { field: "jailerBinary", problem: "must not be empty" },
      { field: "chrootBaseDir", problem: "must be an absolute path" },
      { field: "netns", problem: "must be an absolute path" },
      { field: "uid", problem: "must not be 0: a jail run as root keeps every capability" },
      { field: "gid", problem: "must be a whole number" },
    ]);
  });

  test("says which field a problem is of, where the problem itself does not", () => {
    assert.equal(refusalOf({ chrootBaseDir: "jail" }).why, "chrootBaseDir must be an absolute path");
  });

  test("a Firecracker that is not there has a code of its own", () => {
    const error = refusalOf({ execFile: "/nowhere/firecracker" });
    assert.equal(error.code, "binary-missing");
    assert.equal(error.why, "Firecracker binary not found at /nowhere/firecracker");
  });

  test("a directory, or a link to itself, is no binary", () => {
    const directory = mkdtempSync(join(tmpdir(), "warder-simple-"));
    try {
      symlinkSync("loop", join(directory, "loop"));
      for (const path of [directory, join(directory, "loop"), join(execFile, "below-a-file")]) {
        assert.equal(refusalOf({ execFile: path }).why, `Firecracker binary not found at ${path}`);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("a jailer that is not there is no mistake", () => {
    assert.doesNotThrow(() =>
      validateJailerConfig(jailerConfig("vm-1", { execFile, jailerBinary: "/nowhere/jailer" })),
    );
  });

  const wrong: readonly (readonly [Partial<JailerConfig>, string])[] = [
    [{ cpuCount: 1.5 }, "CPU count must be a whole number, got 1.5"],
    [{ cpuCount: 33 }, "CPU count must be at most 32, got 33"],
    [{ cpuCount: Number.NaN }, "CPU count must be > 0"],
    [{ memoryLimitMb: 200.5 }, "Memory must be a whole number of MB, got 200.5"],
    [{ memoryLimitMb: Number.POSITIVE_INFINITY }, "Memory must be a whole number of MB, got Infinity"],
    [{ memoryLimitMb: 2 ** 25 }, "Memory must be at most 16777216 MB, got 33554432"],
    [{ gid: 5 }, "uid is needed beside gid"],
    [{ execFile: "firecracker" }, "execFile must be an absolute path"],
  ];
  for (const [overrides, why] of wrong) {
    test(JSON.stringify(overrides), () => assert.equal(refusalOf(overrides).why, why));
  }
});

describe("toJailerConfig()", () => {
  test("takes id, CPUs and memory from the VM, the rest from the defaults", () => {
    const config = toJailerConfig(vmConfig("vm-1", { vcpuCount: 2, memoryMb: 512 }));
    assert.deepEqual(config, { ...defaultJailerConfig, jailerId: "vm-1", cpuCount: 2, memoryLimitMb: 512 });
  });

  test("leaves room for Firecracker where a guest is booted that may use all its memory", () => {
    // 5 % of 256 MiB and 48 MiB, in whole MiB.
    assert.equal(toJailerConfig(vmConfig("vm-1", { kernelPath: "/vmlinux" })).memoryLimitMb, 317);
  });

  test("can be told everything that does not follow from the VM", () => {
    const config = toJailerConfig(vmConfig("vm-1"), { memoryLimitMb: 400, netns: "/run/netns/x" });
    assert.deepEqual([config.memoryLimitMb, config.netns], [400, "/run/netns/x"]);
  });

  test("what is wrong with a VM is named once, and what is wrong with its sandbox too", () => {
    const problems = sandboxedVmProblems(
      vmConfig("a_b", { vcpuCount: 0, memoryMb: 1, kernelPath: "vmlinux", initrdPath: "", rootfsPath: "x" }),
      { execFile, uid: 0 },
    );
    assert.deepEqual(
      problems.map(({ field }) => field),
      ["vcpuCount", "memoryMb", "vmId", "kernelPath", "initrdPath", "rootfsPath", "uid"],
    );
    const given = sandboxedVmProblems(vmConfig("vm-1"), { execFile, memoryLimitMb: 1 });
    assert.deepEqual(
      given.map(({ field }) => field),
      ["memoryLimitMb"],
    );
  });
});
