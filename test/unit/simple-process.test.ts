import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isVmRunning, isWarderError, jailerConfig, stopFirecracker, vmConfig } from "../../src/index.ts";
import { type StartFirecrackerOptions, startFirecrackerOn } from "../../src/simple/firecracker-process.ts";
import { startWithJailerOn } from "../../src/simple/jailer-process.ts";
import { isAlive, type StandIn, standIn } from "./simple-stand-ins.ts";

/** Programs that are there, for what only looks whether they are. */
const programs = { execFile: process.execPath, jailerBinary: process.execPath };

const start = (host: StandIn, options: StartFirecrackerOptions = {}) =>
  startFirecrackerOn(host.pool, vmConfig("vm-1"), { sandbox: programs, ...options });

const startJailed = (host: StandIn) => startWithJailerOn(host.pool, jailerConfig("vm-1", programs), {});

test("test_jailer_process_attributes", async () => {
  const host = standIn();
  await using jailed = await startJailed(host);
  assert.equal(jailed.id, "vm-1");
  assert.ok(isAlive(jailed.pid));
  assert.equal(jailed.apiSocket, "/run/firecracker.socket");
  assert.equal(jailed.jailed, true);
  assert.equal(jailed.isolation.level, "proven");
  assert.equal(jailed.inspect().pid, jailed.pid);
  assert.deepEqual([jailed.readConsole(), jailed.readLog()], ["console", "log"]);
  assert.equal((await jailed.prove()).level, "proven");
});

test("test_firecracker_process_attributes", async () => {
  const host = standIn();
  const config = vmConfig("vm-1", { vcpuCount: 2, memoryMb: 512 });
  await using vm = await startFirecrackerOn(host.pool, config, { sandbox: programs });
  assert.ok(isAlive(vm.pid));
  assert.equal(vm.socketPath, "/run/firecracker.socket");
  assert.equal(vm.isSandboxed, true);
  assert.equal(vm.config, config);
  const [input] = host.started;
  assert.deepEqual([input?.id, input?.kernel, input?.vcpus, input?.memoryMib], ["vm-1", "none", 2, 512]);
  assert.deepEqual(input?.limits, { memoryBytes: 536_870_912, cpuPercent: 200 });
});

test("test_stop_firecracker_with_mock_process", async () => {
  const host = standIn();
  const vm = await start(host);
  const outcome = await stopFirecracker(vm);
  assert.equal(outcome.endedBy, "sigterm");
  assert.ok(!isAlive(vm.pid));
  assert.equal(await isVmRunning(vm), false);
  assert.equal(vm.inspect().exit?.signal, "SIGTERM");
  assert.deepEqual([host.removed, host.closed.length], [["vm-1"], 1]);
  assert.deepEqual(await stopFirecracker(vm), { endedBy: undefined, rungs: [] }, "stopping again is fine");
});

test("test_is_vm_running_nonexistent", async () => {
  // No pid is as large: see /proc/sys/kernel/pid_max.
  for (const pid of [2 ** 22 + 1, 2 ** 40, 0, -1, 1.5, Number.NaN]) assert.equal(await isVmRunning(pid), false);
  assert.equal(await isVmRunning(process.pid), true);
});

describe("a process that takes no notice of SIGTERM", () => {
  test("is killed by stopFirecracker() when its time is over", async () => {
    const vm = await start(standIn({ ignoresTerm: true }));
    const began = performance.now();
    const outcome = await stopFirecracker(vm, { timeoutMs: 200 });
    assert.ok(performance.now() - began >= 195, "it had its time");
    assert.deepEqual(
      outcome.rungs.map(({ method, result }) => [method, result]),
      [
        ["sigterm", "timed-out"],
        ["sigkill", "ended"],
      ],
    );
    assert.equal(vm.inspect().exit?.signal, "SIGKILL");
  });

  test("outlives terminate(), and not forceKill()", async () => {
    const vm = await startJailed(standIn({ ignoresTerm: true }));
    // The stand-in's ladder ends without a word; the core's throws, which is for its own tests.
    const terminated = vm.terminate({ timeoutMs: 50 });
    await assert.rejects(
      vm.wait({ timeoutMs: 100 }),
      (error) => isWarderError(error) && error.code === "deadline-exceeded",
    );
    assert.equal(await vm.isRunning(), true);
    await vm.forceKill({ timeoutMs: 5_000 });
    await terminated;
    assert.equal(await vm.isRunning(), false);
    assert.equal((await vm.wait()).signal, "SIGKILL");
  });
});

describe("the end of a process", () => {
  test("by itself gives everything back, and what was known of it stays", async () => {
    const host = standIn();
    const vm = await startJailed(host);
    process.kill(vm.pid, "SIGKILL");
    assert.equal((await vm.wait()).cause, "killed-by-stranger");
    assert.deepEqual([host.removed, host.closed.length], [["vm-1"], 1]);
    assert.equal(vm.inspect().exit?.signal, "SIGKILL");
    assert.deepEqual([vm.readConsole(), vm.readLog()], ["console", "log"]);
    await vm.terminate();
    await vm.forceKill();
  });

  test("comes with the end of the block that uses it", async () => {
    const host = standIn();
    let pid = 0;
    {
      await using vm = await start(host);
      pid = vm.pid;
      assert.ok(isAlive(pid));
    }
    assert.ok(!isAlive(pid));
    assert.equal(host.closed.length, 1);
  });

  test("can be waited for with a signal, which ends the waiting only", async () => {
    await using vm = await startJailed(standIn());
    const isAborted = (error: unknown) => isWarderError(error) && error.code === "aborted";
    await assert.rejects(vm.wait({ signal: AbortSignal.abort() }), isAborted);
    const caller = new AbortController();
    const waiting = vm.wait({ signal: caller.signal });
    caller.abort();
    await assert.rejects(waiting, isAborted);
    assert.equal(await vm.isRunning(), true);
  });

  test("is asked for by other means, where a ladder is given", async () => {
    const vm = await start(standIn());
    const outcome = await stopFirecracker(vm, { ladder: [{ method: "sigkill", timeoutMs: 1_000 }] });
    assert.equal(outcome.endedBy, "sigkill");
  });

  test("is not waited for when the stopping is given up", async () => {
    await using vm = await start(standIn({ ignoresTerm: true }));
    await assert.rejects(stopFirecracker(vm, { signal: AbortSignal.timeout(50), timeoutMs: 60_000 }));
    assert.equal(await isVmRunning(vm), true);
  });
});
