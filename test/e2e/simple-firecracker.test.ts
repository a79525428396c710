import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { isVmRunning, isWarderError, startFirecracker, stopFirecracker, vmConfig } from "../../src/index.ts";
import { requires } from "../support/capability.ts";
import { guest } from "../support/warder-fixture.ts";
import { callApi, freeze, nothing, openSimple, statusOf } from "./simple-fixture.ts";

const real = requires("root", "real-binaries");
const booting = requires("root", "kvm", "real-binaries");

test("test_start_and_stop_flow", real, async () => {
  await using fixture = openSimple();
  const vm = await startFirecracker(vmConfig("my-agent-task"), { ...fixture.options, sandbox: fixture.sandbox });
  assert.equal(vm.isSandboxed, true);
  assert.equal(await isVmRunning(vm), true);
  assert.equal(await isVmRunning(vm.pid), true);
  assert.equal(((await callApi(vm.socketPath, "GET", "/")) as { id: string }).id, "my-agent-task");
  const outcome = await stopFirecracker(vm);
  assert.equal(outcome.endedBy, "sigterm");
  assert.equal(await isVmRunning(vm), false);
  assert.equal(await isVmRunning(vm.pid), false);
  assert.ok(!existsSync(vm.socketPath));
  assert.deepEqual(await fixture.leftovers(), nothing);
});

test("a hundred starts and stops leave nothing, on the host or open in this process", real, async () => {
  await using fixture = openSimple();
  const options = { ...fixture.options, sandbox: fixture.sandbox };
  const round = async (number: number) => {
    const ids = Array.from({ length: 10 }, (_, index) => `cycle-${number}-${index}`);
    const vms = await Promise.all(ids.map((id) => startFirecracker(vmConfig(id), options)));
    await Promise.all(vms.map((vm) => stopFirecracker(vm)));
  };
  const openFiles = () => readdirSync("/proc/self/fd").map((name) => `${name} ${targetOf(name)}`);
  await round(0);
  const before = openFiles();
  for (let number = 1; number < 10; number++) await round(number);
  assert.deepEqual(openFiles(), before);
  assert.deepEqual(await fixture.leftovers(), nothing);
});

/** What a descriptor leads to; the one that reads the list itself is gone by then. */
function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return "gone";
  }
}

describe("startFirecracker() with a kernel", booting, () => {
  test("boots it, proven, with its console and room for Firecracker itself", async () => {
    await using fixture = openSimple();
    const chunks: Uint8Array[] = [];
    const vm = await startFirecracker(vmConfig("boot", { kernelPath: guest("tick"), vcpuCount: 2 }), {
      ...fixture.options,
      sandbox: fixture.sandbox,
      isolation: "strict",
      onConsole: (chunk) => void chunks.push(chunk),
    });
    assert.equal(vm.isolation.level, "proven");
    assert.equal(statusOf(vm.pid, "Seccomp"), "2");
    assert.equal(((await callApi(vm.socketPath, "GET", "/")) as { state: string }).state, "Running");
    const machine = (await callApi(vm.socketPath, "GET", "/machine-config")) as { [name: string]: unknown };
    assert.deepEqual([machine.vcpu_count, machine.mem_size_mib], [2, 256]);
    assert.equal(vm.inspect().limits.memoryBytes, 317 * 1024 * 1024);
    while (chunks.length === 0) await new Promise(setImmediate);
    assert.ok(vm.readConsole().length > 0);
    await stopFirecracker(vm);
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("sees its guest end by itself, and removes everything without being asked", async () => {
    await using fixture = openSimple();
    const vm = await startFirecracker(vmConfig("ends", { kernelPath: guest("hello") }), {
      ...fixture.options,
      sandbox: fixture.sandbox,
    });
    const exit = await vm.wait({ timeoutMs: 60_000 });
    assert.deepEqual([exit.cause, exit.code], ["guest-ended", 0]);
    assert.equal(vm.inspect().state, "exited");
    assert.match(vm.readConsole(), /\S/);
    assert.match(vm.readLog(), /Successfully started microvm/);
    assert.deepEqual(await stopFirecracker(vm), { endedBy: undefined, rungs: [] });
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("gives it a disk of its own", async () => {
    await using fixture = openSimple();
    const rootfsPath = `${fixture.options.stateDir}.img`;
    writeFileSync(rootfsPath, Buffer.alloc(65_536, 7));
    await using vm = await startFirecracker(vmConfig("disk", { kernelPath: guest("idle"), rootfsPath }), {
      ...fixture.options,
      sandbox: fixture.sandbox,
    });
    const { drives } = (await callApi(vm.socketPath, "GET", "/vm/config")) as { drives: { path_on_host: string }[] };
    assert.deepEqual(
      drives.map(({ path_on_host }) => path_on_host),
      ["/drive-rootfs"],
    );
    assert.deepEqual(readFileSync(`${vm.inspect().jail.root}/drive-rootfs`), Buffer.alloc(65_536, 7));
  });

  test("says what is wrong with it, and leaves nothing", async () => {
    await using fixture = openSimple();
    const work = startFirecracker(vmConfig("bad", { kernelPath: "/etc/passwd" }), {
      ...fixture.options,
      sandbox: fixture.sandbox,
    });
    await assert.rejects(work, (error) => {
      assert.ok(isWarderError(error) && isWarderError(error.cause));
      assert.equal(error.code, "asset-unfit");
      assert.match(error.message, /^Failed to start Firecracker with Jailer: .*no ELF file/s);
      assert.match(error.cause.doing, /looking at the files/);
      return true;
    });
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("starts 20 at once, all proven, and leaves nothing", async () => {
    await using fixture = openSimple();
    const ids = Array.from({ length: 20 }, (_, index) => `boot-${index}`);
    const options = { ...fixture.options, sandbox: fixture.sandbox, timeoutMs: 60_000 };
    const vms = await Promise.all(
      ids.map((id) => startFirecracker(vmConfig(id, { kernelPath: guest("idle"), memoryMb: 128 }), options)),
    );
    assert.deepEqual([...new Set(vms.map((vm) => vm.isolation.level))], ["proven"]);
    assert.deepEqual(
      vms.map((vm) => vm.id),
      ids,
    );
    await Promise.all(vms.map((vm) => stopFirecracker(vm)));
    assert.deepEqual(await fixture.leftovers(), nothing);
  });
});

describe("stopFirecracker()", real, () => {
  test("kills what takes no notice of SIGTERM, when its time is over", async () => {
    await using fixture = openSimple();
    await using vm = await startFirecracker(vmConfig("frozen"), { ...fixture.options, sandbox: fixture.sandbox });
    await freeze(vm.pid);
    const outcome = await stopFirecracker(vm, { timeoutMs: 150 });
    assert.deepEqual(
      outcome.rungs.map(({ method, result }) => [method, result]),
      [
        ["sigterm", "timed-out"],
        ["sigkill", "ended"],
      ],
    );
    assert.equal(vm.inspect().exit?.signal, "SIGKILL");
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("ends several VMs at once, each of them asked twice", async () => {
    await using fixture = openSimple();
    const options = { ...fixture.options, sandbox: fixture.sandbox };
    const vms = await Promise.all(["a", "b", "c"].map((id) => startFirecracker(vmConfig(id), options)));
    await Promise.all([...vms, ...vms].map((vm) => stopFirecracker(vm)));
    assert.deepEqual(await Promise.all(vms.map(isVmRunning)), [false, false, false]);
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("stops a VM without a sandbox too", booting, async () => {
    await using fixture = openSimple();
    const vm = await startFirecracker(vmConfig("open", { kernelPath: guest("tick") }), {
      ...fixture.options,
      sandbox: fixture.unjailed,
    });
    assert.deepEqual([vm.isSandboxed, vm.socketPath], [false, "/tmp/firecracker-open.sock"]);
    assert.equal(fixture.warnings.length, 1);
    await stopFirecracker(vm);
    assert.ok(!existsSync(vm.socketPath));
    assert.equal(await isVmRunning(vm.pid), false);
  });
});
