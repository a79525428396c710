import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { collectGarbage } from "../../src/lifecycle/collect.ts";
import type { Drain } from "../../src/lifecycle/drain.ts";
import type { Step } from "../../src/lifecycle/engine.ts";
import { startSteps } from "../../src/lifecycle/start.ts";
import type { StartContext } from "../../src/lifecycle/start-context.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

class Planted extends Error {}

/** The list with one step replaced. */
function withStep(name: string, change: (step: Step<StartContext>) => Step<StartContext>["run"]): Step<StartContext>[] {
  return startSteps.map((step) => (step.name === name ? { ...step, run: change(step) } : step));
}

const input = { kernel: guest("tick") };

describe("a start that fails at any step leaves the host as before", requires("root", "kvm", "real-binaries"), () => {
  for (const { name } of startSteps) {
    test(`before ${name}`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const steps = withStep(name, () => () => {
        throw new Planted(name);
      });
      await assert.rejects(fixture.warder.run(input, { steps }), wasPlanted);
      assert.deepEqual(fixture.snapshot(), before);
      assert.deepEqual(fixture.warder.list({ all: true }), []);
    });

    test(`after ${name}`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const steps = withStep(name, (step) => async (context, signal) => {
        await step.run(context, signal);
        throw new Planted(name);
      });
      await assert.rejects(fixture.warder.run(input, { steps }), wasPlanted);
      assert.deepEqual(fixture.snapshot(), before);
    });

    test(`given up in ${name}`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const caller = new AbortController();
      const steps = withStep(name, (step) => (context, signal) => {
        caller.abort();
        return step.run(context, signal);
      });
      const started = fixture.warder.run(input, { steps, signal: caller.signal });
      // The last step takes no time in which it could notice.
      if (name !== startSteps.at(-1)?.name) {
        await assert.rejects(started, (error) => isWarderError(error) && error.code === "aborted");
        assert.deepEqual(fixture.snapshot(), before);
      } else {
        await (await started).remove({ force: true });
      }
    });
  }
});

test(
  "a failed start that can not be cleaned up leaves a failed VM, for gc",
  requires("root", "kvm", "real-binaries"),
  async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const mount = { path: "" };
    const steps = withStep("stage-assets", () => ({ plan }) => {
      // What is mounted in a jail by others is not looked into, and so the jail can not be removed.
      mount.path = `${plan.layout.root}/stuck`;
      fs.mkdirSync(mount.path);
      execFileSync("mount", ["-t", "tmpfs", "tmpfs", mount.path]);
      throw new Planted("stage-assets");
    });
    const id = "not-cleaned-up";
    await assert.rejects(fixture.warder.run({ ...input, id }, { steps }), (error) => {
      assert.ok(isWarderError(error), String(error));
      return error.cause instanceof Planted && error.cleanup.length === 1;
    });
    const { state, exit } = fixture.warder.get(id).inspect();
    assert.equal(state, "failed");
    assert.match(exit?.evidence.join() ?? "", /not cleaned up: .*stuck/);
    execFileSync("umount", [mount.path]);
    const { leftovers } = await collectGarbage(fixture.warder.machinery, { isDryRun: false });
    const ours = leftovers.filter(({ name }) => name.includes(fixture.options.chrootBase));
    assert.ok(ours.length > 0 && ours.every(({ action }) => action === "removed"), JSON.stringify(leftovers));
    await fixture.warder.get(id).remove();
    assert.deepEqual(fixture.snapshot(), before);
  },
);

test(
  "a start given up before it knows which process Firecracker is, in a pid namespace of its own, leaves none",
  requires("root", "kvm", "real-binaries"),
  async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    let pid = 0;
    const steps = withStep("launch", (step) => async (context, signal) => {
      await step.run(context, signal);
      pid = context.process?.pid ?? 0;
      delete context.process;
      throw new Planted("launch");
    });
    await assert.rejects(fixture.warder.run({ ...input, newPidNamespace: true }, { steps }), wasPlanted);
    assert.ok(pid > 0);
    assert.equal(fs.existsSync(`/proc/${pid}/root`), false);
    assert.deepEqual(fixture.snapshot(), before);
  },
);

test(
  "a failed start whose process can not be ended leaves it its jail, and goes once it has ended",
  requires("root", "kvm", "real-binaries"),
  async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const id = "stuck";
    const steps = withStep("boot", () => () => {
      throw new Planted("boot");
    }).map((step) => {
      if (step.name !== "launch") return step;
      const undo = async ({ drains }: StartContext) => {
        await Promise.all(Object.values(drains ?? {}).map((drain: Drain) => drain.detach()));
        throw new Planted("it does not end");
      };
      return { ...step, undo };
    });
    await assert.rejects(fixture.warder.run({ ...input, id }, { steps }), (error) => {
      assert.ok(isWarderError(error), String(error));
      return error.cause instanceof Planted && error.cleanup.length === 1;
    });
    const { record } = fixture.warder.get(id);
    assert.equal(record.state, "failed");
    assert.ok(fs.existsSync(record.layout.root));
    const { process: identity } = record;
    assert.ok(identity !== undefined && fixture.warder.machinery.host.processes.signal(identity, "SIGKILL"));
    await fixture.warder.machinery.host.processes.waitForEnd(identity, AbortSignal.timeout(10_000));
    await fixture.warder.get(id).remove();
    assert.deepEqual(fixture.snapshot(), before);
  },
);

test("every step of a start can be run twice", requires("root", "kvm", "real-binaries"), async () => {
  await using fixture = await openFixture();
  const before = fixture.snapshot();
  const steps = startSteps.map((step) => ({
    ...step,
    run: async (context: StartContext, signal: AbortSignal) => {
      await step.run(context, signal);
      await step.run(context, signal);
    },
  }));
  const vm = await fixture.warder.run(input, { steps });
  assert.equal(vm.state, "running");
  assert.equal(vm.inspect().isolation?.level, "proven");
  await vm.remove({ force: true });
  assert.deepEqual(fixture.snapshot(), before);
});

function wasPlanted(error: unknown): boolean {
  assert.ok(isWarderError(error), String(error));
  assert.ok(error.cause instanceof Planted, String(error));
  assert.deepEqual(error.cleanup, []);
  return true;
}
