import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { controlNames, type PhaseProof, proveHeld, proveRunning, reportIsolation } from "../../src/isolation/prove.ts";
import { requires } from "../support/capability.ts";
import type { Deviation } from "../support/isolation-deviation.ts";
import { HeldFirecracker } from "../support/isolation-jail.ts";
import {
  cgroupLimits,
  cgroupVersion,
  controllers,
  foundIn,
  gapsOf,
  leftovers,
  mountOf,
} from "../support/isolation-machine.ts";

describe("a real guest in the real jailer", requires("root", "kvm", "netns", "real-binaries"), () => {
  for (const [what, deviation] of Object.entries<Deviation>({
    "with nothing asked for beyond the jail": {},
    "in a network namespace of its own": { netns: "joined" },
    "in a pid namespace of its own": { newPidNamespace: true },
  })) {
    it(`is proven, held and running, ${what}`, async () => {
      await using vm = await HeldFirecracker.start(deviation);
      const wanted = vm.wanted();
      const held = proveHeld(vm.host, vm.process, wanted);
      await vm.boot();
      const report = reportIsolation("strict", wanted, { held, running: proveRunning(vm.host, vm.process, wanted) });
      assert.deepEqual([report.gaps, report.level], [[], "proven"]);
    });
  }

  /** Proof of a Firecracker whose guest runs, once something was done to it. */
  async function running(
    deviation: Deviation,
    happening: (vm: HeldFirecracker) => void = () => undefined,
  ): Promise<PhaseProof> {
    await using vm = await HeldFirecracker.start(deviation);
    const wanted = vm.wanted();
    await vm.boot();
    happening(vm);
    return proveRunning(vm.host, vm.process, wanted);
  }

  it("is caught without filters: seccomp, no-new-privs", async () => {
    const proof = await running({ firecrackerArgs: ["--no-seccomp"] });
    assert.ok(gapsOf(proof).includes("seccomp"));
    assert.match(foundIn(proof, "seccomp") ?? "", /mode 0/);
  });

  it("is caught with a limit that was changed after the start: limit.pids", async () => {
    const proof = await running({}, (vm) => fs.writeFileSync(join(vm.cgroup("pids"), cgroupLimits.pids.file), "max"));
    assert.deepEqual(gapsOf(proof), ["limit.pids"]);
  });

  it("is caught with one thread in another cgroup: cgroup.cpu", async (context) => {
    if (cgroupVersion === 2) return context.skip("cgroup v2 moves whole processes");
    const proof = await running({}, (vm) => fs.writeFileSync(join(mountOf("cpu"), "tasks"), vcpuThread(vm)));
    assert.deepEqual(gapsOf(proof), ["cgroup.cpu"]);
    assert.match(foundIn(proof, "cgroup.cpu") ?? "", /^thread \d+ \(fc_vcpu 0\): \/$/);
  });

  it("is caught when it was moved out of its cgroup", async () => {
    const proof = await running({}, ({ process }) =>
      fs.writeFileSync(join(mountOf("memory"), "cgroup.procs"), `${process.pid}`),
    );
    const expected = cgroupVersion === 2 ? controllers.map((name) => `cgroup.${name}`) : ["cgroup.memory"];
    assert.deepEqual(gapsOf(proof), expected);
  });

  it("is gone when it was killed, and each control is unread, not wrong", async () => {
    await using vm = await HeldFirecracker.start();
    const wanted = vm.wanted();
    await vm.boot();
    await vm.kill();
    const { vanished, controls, unread } = proveRunning(vm.host, vm.process, wanted);
    assert.deepEqual([vanished, controls, unread], [true, [], controlNames(wanted, "running")]);
  });

  it("is never wrong, only gone, while it is being killed", async () => {
    await using vm = await HeldFirecracker.start();
    const wanted = vm.wanted();
    await vm.boot();
    process.kill(vm.process.pid, "SIGKILL");
    for (let vanished = false; !vanished; ) {
      const proof = proveRunning(vm.host, vm.process, wanted);
      assert.deepEqual(gapsOf(proof), []);
      vanished = proof.vanished;
    }
  });

  it("is never wrong again once it was proven, only gone, while its guest ends by itself", async () => {
    await using vm = await HeldFirecracker.start({ guest: "hello" });
    const wanted = vm.wanted();
    vm.configure();
    for (let wasProven = false, vanished = false; !vanished; ) {
      const proof = proveRunning(vm.host, vm.process, wanted);
      const gaps = gapsOf(proof);
      if (wasProven) assert.deepEqual(gaps, []);
      wasProven ||= gaps.length === 0 && proof.unread.length === 0;
      vanished = proof.vanished;
      await new Promise(setImmediate);
    }
  });

  after(() => {
    assert.deepEqual(leftovers(), []);
  });
});

function vcpuThread({ process }: HeldFirecracker): string {
  const tasks = `/proc/${process.pid}/task`;
  const tid = fs.readdirSync(tasks).find((name) => fs.readFileSync(`${tasks}/${name}/comm`, "utf8") === "fc_vcpu 0\n");
  assert.ok(tid);
  return tid;
}
