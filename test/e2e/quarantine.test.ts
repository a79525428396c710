import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");
const FIRST = 610_000 + (process.pid % 10_000);

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(5);
  }
}

/** Refused for want of ids, with the words that say what holds one. */
const isHeld = (text: RegExp) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, "ids-exhausted");
  assert.match(error.message, text);
  return true;
};

describe("an id of a VM that is gone", real, () => {
  test("is given out again once nothing of the VM is left, and no start waits for that while others are free", async () => {
    await using fixture = await openFixture({ uidRange: { first: FIRST, count: 2 } });
    const { leases } = fixture.warder.machinery.store;
    const uids: number[] = [];
    for (let run = 0; run < 5; run++) {
      const vm = await fixture.warder.run({ kernel: guest("idle") });
      uids.push(vm.record.uid);
      assert.deepEqual([vm.record.gid, leases.count("uid"), leases.count("gid")], [vm.record.uid, 1, 1]);
      await vm.remove({ force: true });
    }
    assert.deepEqual(
      uids,
      [0, 1, 0, 1, 0].map((each) => FIRST + each),
    );
    await until("it was looked at the host", () => leases.resting("uid").length === 0);
  });

  test("is not, while a process, a file or an interface of it is left: which is said", async () => {
    await using fixture = await openFixture({ uidRange: { first: FIRST, count: 1 } });
    const { leases } = fixture.warder.machinery.store;
    const run = () => fixture.warder.run({ kernel: guest("idle") });
    const [uid, tap] = [String(FIRST), `tapq${process.pid % 100_000}`];
    // It is there before the VM goes, as something that a VM left would be.
    const sleeper = spawn("/bin/sleep", ["600"], { uid: FIRST, gid: FIRST, stdio: "ignore" });
    await (await run()).remove({ force: true });
    await assert.rejects(run(), isHeld(new RegExp(`uid ${uid} by process ${sleeper.pid}`)));
    assert.equal(leases.resting("uid")[0]?.value, uid);
    execFileSync("ip", ["tuntap", "add", "dev", tap, "mode", "tap", "user", uid]);
    sleeper.kill("SIGKILL");
    await new Promise((resolve) => sleeper.once("exit", resolve));
    try {
      await assert.rejects(run(), isHeld(new RegExp(`uid ${uid} by the interface ${tap}`)));
    } finally {
      execFileSync("ip", ["link", "delete", tap]);
    }
    const jail = `${fixture.options.chrootBase}/firecracker/left-behind`;
    execFileSync("mkdir", ["-p", `${jail}/root/deep`]);
    execFileSync("chown", [`${uid}:${uid}`, `${jail}/root/deep`]);
    await assert.rejects(run(), isHeld(new RegExp(`uid ${uid} by the file ${jail}/root/deep`)));
    execFileSync("rm", ["-r", jail]);
    assert.equal((await run()).record.uid, FIRST);
  });

  test("that the caller names is held to the same", async () => {
    await using fixture = await openFixture();
    const run = (gid?: number) =>
      fixture.warder.run({ kernel: guest("idle"), uid: FIRST, ...(gid === undefined ? {} : { gid }) });
    const vm = await run();
    await assert.rejects(run(), isHeld(/leasing the user id/));
    await assert.rejects(
      fixture.warder.run({ kernel: guest("idle"), uid: FIRST + 1, gid: FIRST }),
      isHeld(/leasing the group id/),
    );
    await vm.remove({ force: true });
    await (await run()).remove({ force: true });
    await (await run(FIRST + 2)).remove({ force: true });
  });
});
