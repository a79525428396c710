/** What a start does about a jail that is not as it was asked for: each case changes it behind Warder's back. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { startSteps } from "../../src/lifecycle/start.ts";
import { need, type StartContext } from "../../src/lifecycle/start-context.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const input = { kernel: guest("tick") };

/** The steps of a start, with something done right before one of them. */
function stepsWith(name: string, meddle: (context: StartContext) => void | Promise<void>) {
  return startSteps.map((step) =>
    step.name !== name
      ? step
      : {
          ...step,
          async run(context: StartContext, signal: AbortSignal) {
            await meddle(context);
            await step.run(context, signal);
          },
        },
  );
}

/** More threads than the VM was limited to. */
function raisePids({ plan }: StartContext): void {
  writeFileSync(`${plan.cgroup?.placement.directories.pids}/pids.max`, "2000");
}

describe("a jail that is not as asked for", requires("root", "kvm", "real-binaries"), () => {
  for (const step of ["prove-jail", "prove-guest"]) {
    test(`is refused at ${step}, named, and removed`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const start = fixture.warder.run(input, { steps: stepsWith(step, raisePids) });
      await assert.rejects(start, (error) => {
        assert.ok(isWarderError(error) && error.code === "isolation-gap", String(error));
        assert.equal(error.why, "one control is not what was asked for");
        assert.deepEqual(error.fields, [{ field: "limit.pids", problem: "wanted 1024, found 2000" }]);
        return true;
      });
      assert.deepEqual(fixture.snapshot(), before);
    });
  }

  test("runs under the policy degrade, with a warning that names it", async () => {
    await using fixture = await openFixture();
    const steps = stepsWith("prove-jail", raisePids);
    const vm = await fixture.warder.run({ ...input, policy: "degrade" }, { steps });
    const { isolation } = vm.inspect();
    assert.equal(isolation?.level, "degraded");
    assert.match(isolation?.gaps.join() ?? "", /limit\.pids/);
    assert.deepEqual(fixture.warnings, ["VM is not isolated as asked (INSECURE for production!)"]);
  });

  test("is no jail any more where the process ended in it", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const steps = stepsWith("prove-jail", async (context) => {
      const launched = need(context, "process");
      fixture.warder.machinery.host.processes.signal(launched, "SIGKILL");
      await fixture.warder.machinery.host.processes.waitForEnd(launched, AbortSignal.timeout(10_000));
    });
    await assert.rejects(fixture.warder.run(input, { steps }), (error) => {
      assert.ok(isWarderError(error), String(error));
      assert.equal(error.code, "firecracker-failed");
      return true;
    });
    assert.deepEqual(fixture.snapshot(), before);
  });
});
