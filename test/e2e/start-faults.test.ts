import assert from "node:assert/strict";
import { describe, test } from "node:test";
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
