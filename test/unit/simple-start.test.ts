import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isWarderError, jailerConfig, startFirecracker, vmConfig, WarderError } from "../../src/index.ts";
import { startFirecrackerOn } from "../../src/simple/firecracker-process.ts";
import { HostPool } from "../../src/simple/hosts.ts";
import { startWithJailerOn } from "../../src/simple/jailer-process.ts";
import { standIn } from "./simple-stand-ins.ts";

const programs = { execFile: process.execPath, jailerBinary: process.execPath };
const unjailed = { execFile: process.execPath, jailerBinary: "/nowhere/jailer" };

async function failureOf(work: Promise<unknown>): Promise<WarderError> {
  const error = await work.then(
    () => assert.fail("it started"),
    (reason: unknown) => reason,
  );
  assert.ok(isWarderError(error), String(error));
  return error;
}

/** What was being done, from the outermost error to the innermost. */
function chainOf(error: unknown): string[] {
  return isWarderError(error) ? [error.doing, ...chainOf(error.cause)] : [];
}

describe("without a jailer", () => {
  test("outside production a VM starts without a sandbox, of which the core warns", async () => {
    const host = standIn();
    await using vm = await startWithJailerOn(host.pool, jailerConfig("vm-1", unjailed), {});
    assert.equal(vm.jailed, false);
    assert.equal(vm.apiSocket, "/tmp/firecracker-vm-1.sock");
    assert.deepEqual([host.started[0]?.jailed, host.started[0]?.policy], [false, "degrade"]);
    assert.ok(host.opened[0] !== undefined && !("jailer" in host.opened[0]));
  });

  test("user and group are left out, as nobody can change to them", async () => {
    const host = standIn();
    await using _vm = await startWithJailerOn(host.pool, jailerConfig("vm-1", { ...unjailed, uid: 7, gid: 8 }), {});
    assert.ok(host.started[0] !== undefined && !("uid" in host.started[0]) && !("gid" in host.started[0]));
  });

  test("a network namespace that was asked for is not left out: the start is refused", async () => {
    const host = standIn();
    const config = jailerConfig("vm-1", { ...unjailed, netns: "/run/netns/isolated" });
    const error = await failureOf(startWithJailerOn(host.pool, config, {}));
    assert.equal(error.code, "unjailed-refused");
    assert.match(error.message, /\/run\/netns\/isolated/);
    assert.deepEqual([host.started, host.closed.length], [[], 1]);
  });

  for (const [name, options, production] of [
    ["production", {}, true],
    ["strict isolation", { isolation: "strict" }, false],
  ] as const) {
    test(`${name} leaves the refusal to the core`, async () => {
      const failure = new WarderError("unjailed-refused", {
        doing: "starting",
        why: "Production requires sandboxing!",
      });
      const host = standIn({ production, failure });
      const work = startFirecrackerOn(host.pool, vmConfig("vm-1"), { ...options, sandbox: unjailed });
      const error = await failureOf(work);
      assert.equal(error.code, "unjailed-refused");
      assert.match(error.message, /^Failed to start Firecracker with Jailer: .*Production requires sandboxing!/);
      assert.equal(host.closed.length, 1);
    });
  }
});

describe("what went wrong is said from the outside in", () => {
  test("test_start_firecracker_requires_binary", async () => {
    const sandbox = { execFile: "/nowhere/firecracker-v1.14.1" };
    const error = await failureOf(startFirecracker(vmConfig("vm-1"), { sandbox }));
    assert.equal(error.code, "binary-missing");
    assert.match(error.message, /Firecracker binary not found at \/nowhere\/firecracker-v1\.14\.1/);
    assert.deepEqual(chainOf(error), [
      "Failed to start Firecracker with Jailer",
      "Invalid Jailer configuration",
      "checking the configuration of vm-1",
    ]);
  });

  test("an invalid configuration, with every problem in the outermost error too", async () => {
    const config = vmConfig("a_b", { vcpuCount: 0, memoryMb: 1 });
    const error = await failureOf(startFirecrackerOn(standIn().pool, config, { sandbox: programs }));
    assert.equal(error.code, "invalid-argument");
    assert.match(error.message, /^Failed to start Firecracker with Jailer: Invalid Jailer configuration: /);
    assert.match(error.message, /CPU count must be > 0/);
    assert.deepEqual(
      error.fields.map(({ field }) => field),
      ["vcpuCount", "memoryMb", "vmId"],
    );
    const jailer = jailerConfig("vm-1", { ...programs, memoryLimitMb: 100 });
    const inner = await failureOf(startWithJailerOn(standIn().pool, jailer, {}));
    assert.match(inner.message, /^Invalid Jailer configuration: .*at least 128 MB/);
  });

  test("a jailer that can not be started", async () => {
    const cause = Object.assign(new Error("spawn ENOEXEC"), { code: "ENOEXEC" });
    const failure = new WarderError("jailer-failed", { doing: "starting /jailer", why: "spawn ENOEXEC", cause });
    const host = standIn({ failure });
    const error = await failureOf(startFirecrackerOn(host.pool, vmConfig("vm-1"), { sandbox: programs }));
    assert.equal(error.code, "jailer-failed");
    assert.deepEqual(chainOf(error), [
      "Failed to start Firecracker with Jailer",
      "Failed to spawn jailer process",
      "starting /jailer",
    ]);
    assert.equal(((error.cause as Error).cause as Error).cause, cause);
    assert.equal(host.closed.length, 1);
    const without = await failureOf(startWithJailerOn(host.pool, jailerConfig("vm-1", unjailed), {}));
    assert.deepEqual(chainOf(without), ["Failed to spawn Firecracker process", "starting /jailer"]);
  });

  test("the cure and what could not be cleaned up are not lost on the way", async () => {
    const failure = new WarderError("isolation-gap", {
      doing: "proving",
      why: "a gap",
      cure: "See the doctor",
      cleanup: [new Error("busy")],
    });
    const host = standIn({ failure });
    const error = await failureOf(startFirecrackerOn(host.pool, vmConfig("vm-1"), { sandbox: programs }));
    assert.deepEqual([error.code, error.cure, error.cleanup.length], ["isolation-gap", "See the doctor", 1]);
  });

  test("a start that was given up", async () => {
    const host = standIn();
    const config = jailerConfig("vm-1", programs);
    const early = await failureOf(startWithJailerOn(host.pool, config, { signal: AbortSignal.abort() }));
    assert.deepEqual([early.code, host.opened.length], ["aborted", 0]);
    const caller = new AbortController();
    const pool = new HostPool(async (settings) => {
      caller.abort();
      return (await standIn().pool.lease(settings)).host;
    });
    const late = await failureOf(startWithJailerOn(pool, config, { signal: caller.signal }));
    assert.equal(late.code, "aborted");
  });
});

describe("hosts", () => {
  test("are shared by starts with the same settings, and closed with the last VM", async () => {
    const host = standIn();
    const start = (id: string, execFile = programs.execFile) =>
      startWithJailerOn(host.pool, jailerConfig(id, { ...programs, execFile }), {});
    const vms = await Promise.all(Array.from({ length: 20 }, (_, index) => start(`vm-${index}`)));
    assert.equal(host.opened.length, 1);
    assert.equal(new Set(vms.map((vm) => vm.pid)).size, 20);
    await using other = await start("other", "/bin/sh");
    assert.equal(host.opened.length, 2);
    assert.equal(other.id, "other");
    const [last, ...rest] = vms;
    await Promise.all(rest.map((vm) => vm.terminate()));
    assert.equal(host.closed.length, 0);
    await last?.terminate();
    assert.equal(host.closed.length, 1);
    await using _again = await start("again");
    assert.equal(host.opened.length, 3);
  });

  test("that can not be opened are tried again by the next start", async () => {
    let attempts = 0;
    const pool = new HostPool(async () => {
      attempts++;
      throw new WarderError("permission-denied", { doing: "making the directory /var/lib/warder", why: "EACCES" });
    });
    for (const expected of [1, 2]) {
      const error = await failureOf(startWithJailerOn(pool, jailerConfig("vm-1", programs), {}));
      assert.deepEqual([error.code, attempts], ["permission-denied", expected]);
    }
  });

  test("are opened with what the configuration and the options say", async () => {
    const host = standIn();
    const reporter = { warn: () => undefined, note: () => undefined };
    const config = jailerConfig("vm-1", { ...programs, chrootBaseDir: "/srv/jails", cgroupVersion: 2 });
    await using _vm = await startWithJailerOn(host.pool, config, {
      stateDir: "/srv/state",
      reporter,
      timeoutMs: 5_000,
    });
    assert.deepEqual(host.opened, [
      {
        firecracker: process.execPath,
        jailer: process.execPath,
        chrootBase: "/srv/jails",
        cgroupVersion: 2,
        stateDir: "/srv/state",
        reporter,
      },
    ]);
    assert.equal(host.started[0]?.startTimeoutMs, 5_000);
  });

  test("are told everything of a VM that is booted", async () => {
    const host = standIn();
    const paths = { kernelPath: "/k", initrdPath: "/i", rootfsPath: "/r", bootArgs: "quiet" };
    const limits = { cpus: "0", io: [{ device: "8:0", writeBytesPerSecond: 1 }] };
    await using _vm = await startFirecrackerOn(host.pool, vmConfig("vm-1", paths), {
      sandbox: { ...programs, limits, netns: "/run/netns/x", uid: 7, gid: 8 },
    });
    assert.deepEqual(host.started, [
      {
        id: "vm-1",
        kernel: "/k",
        initrd: "/i",
        bootArgs: "quiet",
        drives: [{ path: "/r", root: true }],
        vcpus: 1,
        memoryMib: 256,
        limits: { ...limits, memoryBytes: 317 * 1024 * 1024, cpuPercent: 100 },
        jailed: true,
        policy: "degrade",
        apiSocket: "/run/firecracker.socket",
        netns: "/run/netns/x",
        uid: 7,
        gid: 8,
      },
    ]);
  });
});
