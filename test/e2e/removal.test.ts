import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import type { Step } from "../../src/lifecycle/engine.ts";
import { type RemovalContext, removalSteps } from "../../src/lifecycle/removal-steps.ts";
import { removeObjects } from "../../src/lifecycle/remove.ts";
import { isWarderError } from "../../src/vm/error.ts";
import type { VmRecord } from "../../src/vm/record.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

class Planted extends Error {}

/** A VM whose process is dead, and of which everything else is there: its manager let go of it and it was killed. */
async function deadVm(fixture: WarderFixture): Promise<VmRecord> {
  const manager = await fixture.reopen();
  const vm = await manager.run({ kernel: guest("idle") });
  const { record } = vm;
  await manager[Symbol.asyncDispose]();
  const { processes } = fixture.warder.machinery.host;
  const { process: identity } = record;
  assert.ok(identity !== undefined);
  processes.signal(identity, "SIGKILL");
  await processes.waitForEnd(identity, AbortSignal.timeout(5_000));
  return record;
}

describe("removing what belongs to a VM", real, () => {
  test("can be done twice, step by step", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const record = await deadVm(fixture);
    const { machinery } = fixture.warder;
    const twice = removalSteps.map(
      (step): Step<RemovalContext> => ({
        name: step.name,
        async run(context, signal) {
          await step.run(context, signal);
          await step.run(context, signal);
        },
      }),
    );
    await removeObjects(machinery, record, twice);
    assert.deepEqual(fixture.snapshot(), before);
    await removeObjects(machinery, record);
  });

  for (const { name } of removalSteps) {
    test(`that fails in ${name} is taken up again`, async () => {
      await using fixture = await openFixture();
      const before = fixture.snapshot();
      const record = await deadVm(fixture);
      const { machinery } = fixture.warder;
      const failing = removalSteps.map((step) =>
        step.name === name ? { ...step, run: () => Promise.reject(new Planted(name)) } : step,
      );
      await assert.rejects(removeObjects(machinery, record, failing), (error) => {
        assert.ok(error instanceof Planted || (isWarderError(error) && error.cause instanceof Planted), String(error));
        return true;
      });
      assert.notDeepEqual(machinery.store.ledger(record.id), []);
      assert.equal(machinery.store.leases.count("uid"), 1, "its ids are its own as long as anything is left");
      await fixture.reopen();
      assert.deepEqual(fixture.snapshot(), before);
    });
  }

  test("touches nothing while its process lives, or may", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    const before = fixture.snapshot();
    const { machinery } = fixture.warder;
    await assert.rejects(removeObjects(machinery, vm.record), /its process \d+ is still there/);
    const { processes } = machinery.host;
    const stranger = { ...vm.record, process: processes.self };
    await assert.rejects(
      removeObjects(machinery, stranger),
      (error) => isWarderError(error) && error.code === "process-stranger",
    );
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("ends what the VM has left in its cgroup", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const record = await deadVm(fixture);
    const child = spawn("/bin/sleep", ["600"], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
    const [directory] = Object.values(record.cgroup?.directories ?? {});
    fs.writeFileSync(`${directory}/cgroup.procs`, String(child.pid));
    await removeObjects(fixture.warder.machinery, record);
    assert.equal(await ended, "SIGKILL");
    await fixture.reopen();
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("takes off what is mounted in the jail, and leaves it whole", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const record = await deadVm(fixture);
    const precious = `${fixture.options.stateDir}/precious`;
    fs.mkdirSync(`${precious}/deep`, { recursive: true });
    fs.writeFileSync(`${precious}/file`, "kept");
    const target = `${record.layout.root}/mnt with blank`;
    fs.mkdirSync(target);
    execFileSync("mount", ["--bind", precious, target]);
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", `${target}/deep`]);
    await removeObjects(fixture.warder.machinery, record);
    assert.equal(fs.readFileSync(`${precious}/file`, "utf8"), "kept");
    await fixture.reopen();
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("leaves alone what has taken the jail's place", async () => {
    await using fixture = await openFixture();
    const record = await deadVm(fixture);
    const { root } = record.layout;
    fs.renameSync(root, `${root}.moved`);
    fs.mkdirSync(root);
    fs.writeFileSync(`${root}/file`, "somebody's");
    await assert.rejects(
      removeObjects(fixture.warder.machinery, record),
      /is not the directory that was made for the VM/,
    );
    assert.equal(fs.readFileSync(`${root}/file`, "utf8"), "somebody's");
    fs.rmSync(root, { recursive: true });
    fs.renameSync(`${root}.moved`, root);
    await fixture.reopen();
  });
});
