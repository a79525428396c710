import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Step } from "../../src/lifecycle/engine.ts";
import { apiOnlySteps } from "../../src/lifecycle/start.ts";
import type { StartContext } from "../../src/lifecycle/start-context.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";
import { callApi } from "./simple-fixture.ts";

const real = requires("root", "real-binaries");
const input = { kernel: "none" } as const;

class Planted extends Error {}

function withStep(name: string, change: (step: Step<StartContext>) => Step<StartContext>["run"]): Step<StartContext>[] {
  return apiOnlySteps.map((step) => (step.name === name ? { ...step, run: change(step) } : step));
}

const wasPlanted = (error: unknown) =>
  isWarderError(error) && error.cause instanceof Planted && error.cleanup.length === 0;

describe("a start without a guest", real, () => {
  for (const { name } of apiOnlySteps) {
    test(`that fails before ${name} leaves the host as before`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const steps = withStep(name, () => () => {
        throw new Planted(name);
      });
      await assert.rejects(fixture.warder.run(input, { steps }), wasPlanted);
      assert.deepEqual(fixture.snapshot(), before);
      assert.deepEqual(fixture.warder.list({ all: true }), []);
    });

    test(`that fails after ${name} leaves the host as before`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const steps = withStep(name, (step) => async (context, signal) => {
        await step.run(context, signal);
        throw new Planted(name);
      });
      await assert.rejects(fixture.warder.run(input, { steps }), wasPlanted);
      assert.deepEqual(fixture.snapshot(), before);
    });
  }

  test("can have every step run twice", async () => {
    await using fixture = await openFixture();
    const steps = apiOnlySteps.map((step) => ({
      ...step,
      run: async (context: StartContext, signal: AbortSignal) => {
        await step.run(context, signal);
        await step.run(context, signal);
      },
    }));
    const vm = await fixture.warder.run(input, { steps });
    assert.deepEqual([vm.state, vm.inspect().isolation?.level], ["running", "partial"]);
  });

  test("has no configuration file, and an API that answers", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(input);
    const { jail, kernel } = vm.inspect();
    assert.equal(kernel, "none");
    assert.ok(!existsSync(`${jail.root}/kernel`));
    const { state } = (await callApi(jail.socket, "GET", "/")) as { state: string };
    assert.equal(state, "Not started");
  });

  test("survives its manager, and is stopped by the next one", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const first = await fixture.reopen();
    const { id } = await first.run(input);
    await first[Symbol.asyncDispose]();
    const vm = fixture.warder.get(id);
    await assert.rejects(vm.prove(), (error) => isWarderError(error) && error.code === "wrong-state");
    const outcome = await vm.stop({
      ladder: [
        { method: "ctrl-alt-del", timeoutMs: 1_000 },
        { method: "sigterm", timeoutMs: 5_000 },
        { method: "sigkill", timeoutMs: 5_000 },
      ],
    });
    assert.deepEqual(
      outcome.rungs.map(({ result }) => result),
      ["failed", "ended"],
    );
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("that is not there in time is taken back", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const steps = withStep("launch", (step) => async (context, signal) => {
      const launched = step.run(context, signal);
      while (context.launch === undefined) await new Promise(setImmediate);
      // From here on it answers nobody.
      process.kill(context.launch.child.pid, "SIGSTOP");
      await launched;
    });
    const work = fixture.warder.run({ ...input, startTimeoutMs: 500 }, { steps });
    await assert.rejects(work, (error) => isWarderError(error) && error.code === "start-timeout");
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("whose process ends before it answers says what that said", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const steps = withStep("launch", (step) => async (context, signal) => {
      const { firecracker } = context.plan.binaries;
      // Firecracker does not know the jailer's arguments.
      const plan = { ...context.plan, binaries: { ...context.plan.binaries, jailer: firecracker } };
      await step.run(Object.assign(context, { plan }), signal);
    });
    await assert.rejects(fixture.warder.run(input, { steps }), (error) => {
      assert.ok(isWarderError(error) && error.code === "jailer-failed", String(error));
      assert.match(error.message, /it ended with status 153: .*exec-file/s);
      return true;
    });
    assert.deepEqual(fixture.snapshot(), before);
  });
});

test("a booted VM can be proven again at any time", requires("root", "kvm", "real-binaries"), async () => {
  await using fixture = await openFixture();
  const vm = await fixture.warder.run({ kernel: guest("tick") });
  const first = vm.inspect().isolation;
  const again = await vm.prove();
  assert.equal(again.level, "proven");
  assert.deepEqual(
    again.controls.map(({ name }) => name),
    first?.controls.map(({ name }) => name),
  );
});

describe("a limit that somebody lifts after the start", real, () => {
  const lift = (vm: Vm) => writeFileSync(`${vm.record.cgroup?.directories.pids}/pids.max`, "max");

  test("is found by the next proof, and ends a strict VM", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vm = await fixture.warder.run({ ...input, policy: "strict" });
    lift(vm);
    await assert.rejects(vm.prove(), (error) => {
      assert.ok(isWarderError(error) && error.code === "isolation-gap", String(error));
      assert.match(error.message, /limit\.pids: wanted 1024, found max/);
      return true;
    });
    assert.equal(vm.inspect().exit?.cause, "killed");
    assert.equal(vm.inspect().isolation?.level, "degraded");
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("is named, and no more, where the policy is degrade", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ ...input, policy: "degrade" });
    lift(vm);
    const { level, gaps } = await vm.prove();
    assert.equal(level, "degraded");
    assert.ok(gaps.includes("limit.pids: wanted 1024, found max"));
    assert.equal(vm.state, "running");
  });

  test("ends a VM in production, whatever its policy is", async () => {
    await using fixture = await openFixture({ production: true });
    const vm = await fixture.warder.run({ ...input, policy: "degrade" });
    lift(vm);
    await assert.rejects(vm.prove(), (error) => isWarderError(error) && error.code === "isolation-gap");
    assert.equal(vm.state, "exited");
  });
});
