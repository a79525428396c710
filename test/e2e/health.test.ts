import assert from "node:assert/strict";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { type HealthOptions, lookAtVm, type VmHealth } from "../../src/lifecycle/health.ts";
import { lookAtHost } from "../../src/lifecycle/host-health.ts";
import { usageOf } from "../../src/lifecycle/usage.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import { watchHealth } from "../../src/lifecycle/watch-health.ts";
import type { VmSpecInput } from "../../src/vm/spec.ts";
import { requires } from "../support/capability.ts";
import { until } from "../support/conformance/until.ts";
import { freeze } from "../support/frozen.ts";
import { guest, openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const modes: readonly [string, Partial<VmSpecInput>][] = [
  ["jailed", {}],
  ["unjailed", { jailed: false, policy: "degrade" }],
];

const look = ({ warder }: WarderFixture, vm: Vm, options?: HealthOptions): Promise<VmHealth> =>
  lookAtVm(warder.machinery, vm.record, options);

const problems = ({ checks }: VmHealth) => [checks?.process.problem, checks?.socket.problem, checks?.usage.problem];

for (const [mode, spec] of modes) {
  describe(`the health of a VM that is ${mode}`, requires("root", "kvm", "real-binaries"), () => {
    const start = (fixture: WarderFixture) => fixture.warder.run({ kernel: guest("idle"), ...spec });

    test("is good where its process runs, its socket answers as it, and its usage can be read", async () => {
      await using fixture = await openFixture();
      const vm = await start(fixture);
      const health = await look(fixture, vm);
      assert.deepEqual(problems(health), [undefined, undefined, undefined]);
      const { layout, process } = vm.record;
      assert.deepEqual(
        [health.status, health.isJailed, health.pid, health.socket],
        ["healthy", mode === "jailed", process?.pid, layout.socket],
      );
      assert.equal(health.isolation, mode === "jailed" ? "proven" : "unjailed");
      assert.ok((health.usage.memoryBytes ?? 0) > 100_000 && (health.usage.cpuMicroseconds ?? -1) >= 0);
    });

    test("is good while the VM is paused, and none is told of it before and after its life", async () => {
      await using fixture = await openFixture();
      const vm = await start(fixture);
      await vm.pause();
      assert.equal((await look(fixture, vm)).status, "healthy");
      await vm.kill();
      const { status, checks } = await look(fixture, vm);
      assert.deepEqual([status, checks], ["not-running", undefined]);
    });

    test("is bad where its socket is gone", async () => {
      await using fixture = await openFixture();
      const vm = await start(fixture);
      fs.rmSync(vm.record.layout.socket);
      const health = await look(fixture, vm);
      assert.deepEqual([health.status, health.checks?.process.isOk], ["unhealthy", true]);
      assert.match(health.checks?.socket.problem ?? "", /ENOENT/);
    });

    test("is bad where its process was killed, at once and by whoever looks", async () => {
      await using fixture = await openFixture();
      const vm = await start(fixture);
      const { record } = vm;
      process.kill(record.process?.pid ?? 0, "SIGKILL");
      await vm.wait();
      const health = await lookAtVm(fixture.warder.machinery, { ...record, state: "running" });
      assert.equal(health.status, "unhealthy");
      assert.match(health.checks?.process.problem ?? "", new RegExp(`process ${record.process?.pid}`));
      assert.match(health.checks?.socket.problem ?? "", /no process serves it/);
    });

    test("is bad where another process has its pid", async () => {
      await using fixture = await openFixture();
      const vm = await start(fixture);
      const other = { ...vm.record, process: fixture.warder.machinery.host.processes.self };
      const health = await lookAtVm(fixture.warder.machinery, other);
      assert.deepEqual([health.status, health.checks?.process.isOk], ["unhealthy", false]);
    });

    test("is bad where Firecracker hangs, and the look ends in time", async () => {
      await using fixture = await openFixture();
      const vm = await start(fixture);
      const pid = vm.record.process?.pid ?? 0;
      process.kill(pid, "SIGSTOP");
      try {
        const began = performance.now();
        const health = await look(fixture, vm, { timeoutMs: 300 });
        assert.ok(performance.now() - began < 3_000);
        assert.deepEqual([health.status, health.checks?.process.isOk], ["unhealthy", true]);
        assert.match(health.checks?.socket.problem ?? "", /no answer within 300 ms/);
        const given = AbortSignal.abort(new Error("enough"));
        await assert.rejects(look(fixture, vm, { signal: given }), /enough/);
      } finally {
        process.kill(pid, "SIGCONT");
      }
      assert.equal((await look(fixture, vm)).status, "healthy");
    });
  });
}

describe("the health of a jailed VM", requires("root", "kvm", "real-binaries"), () => {
  test("has the numbers of its cgroup's files", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    const { cgroup, process: identity } = vm.record;
    const read = ([controller, file]: readonly [string, string]) =>
      fs.readFileSync(`${cgroup?.directories[controller]}/${file}`, "utf8");
    const names =
      cgroup?.version === 2
        ? { memory: "memory.current", cpu: ["cpu", "cpu.stat"] as const }
        : { memory: "memory.usage_in_bytes", cpu: ["cpuacct", "cpuacct.usage"] as const };
    // A process that is stopped uses nothing more: the numbers stand still.
    using _frozen = await freeze(identity?.pid ?? 0);
    const readAll = () => {
      const cpu = read(names.cpu);
      const cpuMicroseconds =
        cgroup?.version === 2 ? Number(/^usage_usec (\d+)$/m.exec(cpu)?.[1]) : Math.floor(Number(cpu) / 1000);
      return [Number(read(["memory", names.memory])), cpuMicroseconds, Number(read(["pids", "pids.current"]))];
    };
    // The kernel settles what it has charged ahead for each CPU a little later.
    const { usage, files } = await until("numbers that stand still", async () => {
      const before = readAll();
      const { usage } = await look(fixture, vm, { timeoutMs: 100 });
      return isDeepStrictEqual(before, readAll()) && { usage, files: before };
    });
    assert.deepEqual([usage.memoryBytes, usage.cpuMicroseconds, usage.pids], files);
    assert.deepEqual(usage, usageOf(fixture.warder.machinery.host, vm.record));
  });

  test("is bad where the jail's owner has put another socket in the place of its own", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    const { socket } = vm.record.layout;
    let connections = 0;
    const impostor = createServer(() => void connections++);
    await new Promise<void>((resolve) => impostor.listen(`${socket}.2`, resolve));
    try {
      fs.renameSync(`${socket}.2`, socket);
      const replaced = await look(fixture, vm);
      assert.match(replaced.checks?.socket.problem ?? "", /has put a socket there/);
      fs.renameSync(socket, `${socket}.3`);
      fs.symlinkSync(`${socket}.3`, socket);
      const linked = await look(fixture, vm);
      assert.match(linked.checks?.socket.problem ?? "", /is no socket/);
      assert.equal(connections, 0);
    } finally {
      impostor.close();
    }
  });

  test("is bad where another VM's Firecracker answers on its socket", async () => {
    await using fixture = await openFixture();
    const [one, two] = [
      await fixture.warder.run({ kernel: guest("idle") }),
      await fixture.warder.run({ kernel: guest("idle") }),
    ];
    const record = {
      ...one.record,
      uid: two.record.uid,
      layout: { ...one.record.layout, socket: two.record.layout.socket },
    };
    const health = await lookAtVm(fixture.warder.machinery, record);
    assert.match(health.checks?.socket.problem ?? "", new RegExp(`"${two.id}" answers on it`));
  });
});

describe("the health of a host", requires("root", "kvm", "real-binaries"), () => {
  test("is good where VMs can be started, and says what the machine is", async () => {
    await using fixture = await openFixture();
    const { status, looks, system } = await lookAtHost(fixture.warder.machinery);
    assert.deepEqual(
      Object.entries(looks).filter(([, { isOk }]) => !isOk),
      [],
    );
    assert.equal(status, "healthy");
    assert.deepEqual(Object.keys(looks), ["backend_ping", "store", "chroot_base", "user_ids", "system_info"]);
    assert.equal(system.hostname, fs.readFileSync("/proc/sys/kernel/hostname", "utf8").trim());
    assert.ok(system.cores > 0 && (system.memory?.totalBytes ?? 0) > (system.memory?.availableBytes ?? 0));
  });

  test("is impaired where all user ids are taken", async () => {
    await using fixture = await openFixture({ uidRange: { first: 610_000, count: 1 } });
    await fixture.warder.run({ kernel: guest("idle") });
    const { status, looks } = await lookAtHost(fixture.warder.machinery);
    assert.deepEqual([status, looks.user_ids?.isOk], ["degraded", false]);
    assert.match(looks.user_ids?.problem ?? "", /none of 1 is free/);
  });

  test("is bad where no jail can be made, Firecracker is gone, or the store", async () => {
    await using fixture = await openFixture();
    const { machinery } = fixture.warder;
    const missing = "/var/tmp/warder-test-missing";
    const base = { ...machinery, settings: { ...machinery.settings, chrootBase: missing as never } };
    const noJails = await lookAtHost(base);
    assert.deepEqual([noJails.status, noJails.looks.chroot_base?.isOk], ["unhealthy", false]);
    const roots = { ...machinery.host.roots, dev: missing };
    const noKvm = await lookAtHost({ ...machinery, host: { ...machinery.host, roots } });
    assert.match(noKvm.looks.backend_ping?.problem ?? "", /there is no device/);
    const noBinaries = await lookAtHost({ ...machinery, binaries: () => Promise.reject(new Error("not found")) });
    assert.deepEqual([noBinaries.status, noBinaries.looks.backend_ping?.problem], ["unhealthy", "not found"]);
  });
});

describe("the health of all VMs of a host, looked after", requires("root", "kvm", "real-binaries"), () => {
  const settings = { intervalMs: 20, timeoutMs: 200, failureThreshold: 3, recoveryThreshold: 2 };

  test("is told when a VM comes to be unhealthy, and when it is healthy again", async () => {
    const told: unknown[] = [];
    const note = (message: string, { vm_id }: Readonly<Record<string, unknown>>) => {
      if (message.includes("health")) told.push([message, vm_id]);
    };
    const reporter = {
      note,
      warn: (message: string, details: Readonly<Record<string, unknown>>) => {
        note(message, details);
        if (message === "VM is unhealthy") told.push(Object.keys(details.problems as object));
      },
    };
    await using fixture = await openFixture({ reporter });
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    await using monitor = watchHealth(fixture.warder.machinery, settings);
    await until("a first look", () => monitor.isHealthy(vm.id) === true);
    {
      using _frozen = await freeze(vm.record.process?.pid ?? 0);
      await until("an unhealthy VM", () => monitor.isHealthy(vm.id) === false);
    }
    await until("a healthy VM", () => monitor.isHealthy(vm.id) === true);
    assert.deepEqual(told, [["VM is unhealthy", vm.id], ["socket"], ["VM is healthy again", vm.id]]);
    await vm.kill();
    await until("no VM", () => monitor.isHealthy(vm.id) === undefined);
    assert.equal(told.length, 3, "an end is no illness");
  });
});
