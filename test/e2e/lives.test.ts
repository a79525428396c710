import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Vm } from "../../src/lifecycle/vm.ts";
import type { Warder } from "../../src/lifecycle/warder.ts";
import type { VmChange } from "../../src/vm/change.ts";
import { isWarderError } from "../../src/vm/error.ts";
import type { ErrorCode } from "../../src/vm/error-codes.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

const failsWith = (code: ErrorCode) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

/** Waits for a condition, with a deadline. */
async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(5);
  }
}

/** Ends a VM's process as a stranger would: a failure. */
function murder(vm: Vm): void {
  process.kill(vm.inspect().pid ?? assert.fail(`${vm.id} has no process`), "SIGKILL");
}

/** The states that a VM has gone through. */
const lifeOf = ({ machinery }: Warder, id: string) =>
  machinery.store.changes
    .read({ after: 0, limit: 1_000 })
    .filter((change) => change.id === id)
    .map(({ state }) => state)
    .join(" ");

describe("a VM that is created", real, () => {
  test("has its leases and nothing on the host, is started, and again after its end, as the same VM", async () => {
    await using fixture = await openFixture();
    const { warder } = fixture;
    const before = fixture.snapshot();
    const vm = await warder.create({ id: "kept", kernel: guest("hello") });
    const { state, uid } = vm.record;
    assert.deepEqual([state, vm.inspect().incarnation, vm.inspect().pid], ["created", 0, null]);
    assert.deepEqual({ ...fixture.snapshot(), leases: before.leases }, before);
    assert.equal(fixture.snapshot().leases, before.leases + 1);
    for (const incarnation of [1, 2, 3]) {
      await vm.start();
      assert.equal((await vm.wait()).cause, "guest-ended");
      assert.equal(vm.inspect().incarnation, incarnation);
      if (incarnation === 1) assert.equal(vm.record.uid, uid, "it runs as the user that was reserved");
    }
    assert.equal(vm.inspect().history?.length, 2);
    assert.match(vm.inspect().isolation?.level ?? "", /^(proven|partial)$/);
    assert.ok((vm.readConsole().match(/hello/gi) ?? []).length >= 3, "its console goes on where it stopped");
    assert.deepEqual(fixture.snapshot(), before);
    const run = "starting running exited";
    assert.equal(lifeOf(warder, "kept"), `created ${run} ${run} ${run}`);
    await vm.remove();
    await vm.remove();
  });

  test("outlives its manager, with its leases", async () => {
    await using fixture = await openFixture();
    const first = await fixture.reopen();
    const { id, record } = await first.create({ kernel: guest("idle") });
    await first[Symbol.asyncDispose]();
    const vm = (await fixture.reopen()).get(id);
    assert.deepEqual([vm.state, vm.record.uid], ["created", record.uid]);
    await vm.start();
    assert.deepEqual([vm.state, vm.record.uid], ["running", record.uid]);
  });

  test("is refused as a start would be", async () => {
    await using fixture = await openFixture();
    await assert.rejects(fixture.warder.create({ kernel: "/nowhere/vmlinux" }), failsWith("asset-missing"));
    await fixture.warder.create({ id: "once", kernel: guest("idle") });
    await assert.rejects(fixture.warder.create({ id: "once", kernel: guest("idle") }), failsWith("vm-exists"));
    await assert.rejects(fixture.warder.run({ id: "once", kernel: guest("idle") }), failsWith("vm-exists"));
  });

  test("whose start fails is failed with the reason, leaves nothing, and can be started once the reason is gone", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const kernel = `${fixture.options.stateDir}/kernel.elf`;
    fs.writeFileSync(kernel, Buffer.concat([fs.readFileSync(guest("hello")).subarray(0, 24), Buffer.alloc(500, 0xff)]));
    const vm = await fixture.warder.create({ kernel });
    await assert.rejects(vm.start(), failsWith("firecracker-failed"));
    assert.deepEqual([vm.state, vm.inspect().exit?.cause], ["failed", "start-failed"]);
    assert.deepEqual(fixture.snapshot(), before);
    const broken = fs.readFileSync(kernel);
    fs.copyFileSync(guest("hello"), kernel);
    await vm.start();
    assert.equal((await vm.wait()).cause, "guest-ended");
    const printed = vm.readConsole();
    assert.match(printed, /hello/i);
    fs.writeFileSync(kernel, broken);
    await assert.rejects(vm.start(), failsWith("firecracker-failed"));
    assert.ok(vm.readConsole().startsWith(printed), "the output of the run before is still there");
  });
});

describe("a stop", real, () => {
  test("during a start gives it up, waits for its undo, and leaves nothing", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vm = await fixture.warder.create({ kernel: guest("tick") });
    let stopped: Promise<unknown> | undefined;
    const onStep = ({ step, phase }: { step: string; phase: string }) => {
      if (step === "launch" && phase === "run") stopped = vm.stop();
    };
    await assert.rejects(vm.start({ onStep }), failsWith("aborted"));
    await stopped;
    assert.deepEqual([vm.state, vm.inspect().exit?.cause], ["exited", "stopped"]);
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("that takes long is cut short by a kill", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("tick") });
    const stopped = vm.stop({
      ladder: [
        { method: "ctrl-alt-del", timeoutMs: 60_000 },
        { method: "sigkill", timeoutMs: 5_000 },
      ],
    });
    await until("it is stopping", () => vm.state === "stopping");
    assert.equal((await vm.kill()).endedBy, "sigkill");
    assert.equal((await stopped).endedBy, "sigkill");
    assert.equal(vm.inspect().exit?.cause, "killed");
  });
});

const atOnce = { ladder: [{ method: "sigkill" as const, timeoutMs: 5_000 }] };

describe("a reboot", real, () => {
  test("begins the next run of the same VM, proven anew", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("tick") });
    const { pid } = vm.inspect();
    await vm.reboot(atOnce);
    const view = vm.inspect();
    assert.deepEqual([view.state, view.incarnation, view.isolation?.level], ["running", 2, "proven"]);
    assert.notEqual(view.pid, pid);
    await vm.kill();
  });

  test("of a VM in another manager's hands is that one's to finish", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("tick") });
    await (await fixture.reopen()).get(vm.id).reboot(atOnce);
    assert.deepEqual([vm.state, vm.inspect().incarnation], ["running", 2]);
  });
});

describe("a call that is retried with its idempotency key", real, () => {
  test("makes one VM, however many make the call at once, in two managers", async () => {
    await using fixture = await openFixture();
    const other = await fixture.reopen();
    const input = { kernel: guest("idle") };
    const calls = [fixture.warder, other, fixture.warder].map((each) => each.run(input, { idempotencyKey: "once" }));
    const vms = await Promise.all(calls);
    assert.equal(new Set(vms.map(({ id }) => id)).size, 1);
    assert.deepEqual([vms[0]?.state, fixture.warder.list({ all: true }).length], ["running", 1]);
    const conflict = fixture.warder.run({ ...input, vcpus: 2 }, { idempotencyKey: "once" });
    await assert.rejects(conflict, failsWith("idempotency-conflict"));
  });

  test("is known after the manager was restarted, and after the VM's end", async () => {
    await using fixture = await openFixture();
    const first = await fixture.reopen();
    const vm = await first.run({ kernel: guest("hello") }, { idempotencyKey: "once" });
    await vm.wait();
    await first[Symbol.asyncDispose]();
    const again = await fixture.warder.run({ kernel: guest("hello") }, { idempotencyKey: "once" });
    assert.deepEqual([again.id, again.inspect().incarnation], [vm.id, 1]);
    await again.remove();
    const anew = await fixture.warder.run({ kernel: guest("hello") }, { idempotencyKey: "once" });
    assert.notEqual(anew.id, vm.id);
    await anew.wait();
  });
});

const restart = { policy: "on-failure", maxRetries: 2, backoffMs: 50 } as const;

describe("a restart policy", real, () => {
  test("starts a VM that was killed by a stranger, until the ceiling", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vm = await fixture.warder.run({ kernel: guest("tick"), restart });
    for (const incarnation of [1, 2, 3]) {
      await until("it runs", () => vm.state === "running" && vm.record.incarnation === incarnation);
      murder(vm);
      await until("its end is seen", () => vm.record.incarnation > incarnation || vm.state !== "running");
    }
    assert.equal((await vm.wait()).cause, "killed-by-stranger");
    assert.deepEqual([vm.state, vm.inspect().incarnation, vm.inspect().history?.length], ["exited", 3, 2]);
    assert.deepEqual(fixture.snapshot(), before);
    assert.equal(fixture.warnings.filter((text) => text.includes("will be started again")).length, 2);
  });

  test("leaves a guest alone that ended as it should, and one that a caller stopped", async () => {
    await using fixture = await openFixture();
    const ended = await fixture.warder.run({ kernel: guest("hello"), restart });
    assert.equal((await ended.wait()).cause, "guest-ended");
    const vm = await fixture.warder.run({ kernel: guest("tick"), restart: { policy: "always", backoffMs: 60_000 } });
    murder(vm);
    await until("it is between two runs", () => vm.state === "restarting");
    await vm.stop();
    assert.deepEqual([vm.state, vm.inspect().exit?.cause], ["exited", "killed-by-stranger"]);
    assert.equal(vm.record.owner, undefined);
  });

  test("starts a guest that ends again and again, under always", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("hello"), restart: { policy: "always", backoffMs: 10 } });
    await until("it has run three times", () => vm.record.incarnation >= 3);
    await vm.kill();
    assert.match(vm.state, /exited/);
  });
});

/** A manager in a process of its own, that says what it is asked to say, and then waits to be killed. */
async function managerInProcess(fixture: WarderFixture, program: string) {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program],
    {
      env: {
        ...process.env,
        OPTIONS: JSON.stringify({ ...fixture.options, reporter: undefined }),
        KERNEL: guest("tick"),
      },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  return {
    said: said.toString().trim(),
    /** As `kill -9`. */
    async kill() {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

const prologue = `
import { Warder } from "${new URL("../../src/lifecycle/warder.ts", import.meta.url).href}";
const warder = await Warder.open(JSON.parse(process.env.OPTIONS));
const kernel = process.env.KERNEL;
const forever = () => new Promise(() => setInterval(() => undefined, 1000));
`;

describe("a manager that is killed", real, () => {
  test("after it created a VM loses neither the VM nor its leases", async () => {
    await using fixture = await openFixture();
    const manager = await managerInProcess(
      fixture,
      `${prologue} const vm = await warder.create({ kernel }); console.log(vm.id); await forever();`,
    );
    await manager.kill();
    const vm = (await fixture.reopen()).get(manager.said);
    assert.deepEqual([vm.state, fixture.snapshot().leases], ["created", 1]);
    await vm.start();
    assert.equal(vm.state, "running");
  });

  test("between two runs has the next one go on, with the same count", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const manager = await managerInProcess(
      fixture,
      `${prologue}
      const restart = { policy: "on-failure", maxRetries: 3, backoffMs: 1500 };
      const vm = await warder.run({ kernel, restart });
      process.kill(vm.inspect().pid, "SIGKILL");
      while (vm.state !== "restarting") await new Promise((resolve) => setTimeout(resolve, 5));
      console.log(vm.id);
      await forever();`,
    );
    await manager.kill();
    const next = await fixture.reopen();
    const vm = next.get(manager.said);
    assert.equal(vm.state, "restarting");
    assert.ok(vm.lookAfter());
    await until("it runs", () => vm.state === "running");
    assert.deepEqual([vm.inspect().incarnation, vm.inspect().restart?.retries], [2, 1]);
    assert.equal(vm.inspect().isolation?.level, "proven");
    await vm.kill();
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("in the middle of a reboot has the next one finish it", async () => {
    await using fixture = await openFixture();
    const manager = await managerInProcess(
      fixture,
      `${prologue}
      const vm = await warder.run({ kernel });
      void vm.reboot({ ladder: [{ method: "ctrl-alt-del", timeoutMs: 60000 }, { method: "sigkill", timeoutMs: 5000 }] });
      while (vm.state !== "stopping") await new Promise((resolve) => setTimeout(resolve, 1));
      console.log(vm.id);
      await forever();`,
    );
    await manager.kill();
    const vm = (await fixture.reopen()).get(manager.said);
    murder(vm);
    const waiting = new AbortController();
    const waited = vm.wait({ signal: waiting.signal });
    await until("it runs again", () => vm.state === "running" && vm.record.incarnation === 2);
    waiting.abort();
    await assert.rejects(waited, failsWith("aborted"));
  });
});

describe("a watcher", real, () => {
  test("sees what another process does within 100 ms, and goes on after a restart without gaps or doubles", async () => {
    await using fixture = await openFixture();
    const first = await fixture.reopen();
    const seen: VmChange[] = [];
    const watching = new AbortController();
    const watch = async (warder: Warder, since: number, signal: AbortSignal) => {
      for await (const change of warder.watch({ since, signal })) seen.push(change);
    };
    const watched = watch(first, 0, watching.signal).catch((error: unknown) => failsWith("aborted")(error));
    const vm = await fixture.warder.run({ kernel: guest("tick") });
    const began = performance.now();
    await until("it is seen to run", () => seen.at(-1)?.state === "running");
    assert.ok(performance.now() - began < 1_000, "in no time, on a busy machine too");
    watching.abort();
    await watched;
    await first[Symbol.asyncDispose]();
    await vm.kill();
    const second = await fixture.reopen();
    const again = new AbortController();
    const rest = watch(second, seen.at(-1)?.sequence ?? 0, again.signal).catch(() => undefined);
    await until("it is seen to end", () => seen.at(-1)?.state === "exited");
    await vm.remove();
    await until("it is seen to go", () => seen.at(-1)?.state === "removed");
    again.abort();
    await rest;
    assert.deepEqual(
      seen.map(({ sequence, state, incarnation }) => [sequence, state, incarnation]),
      [
        [1, "starting", 1],
        [2, "running", 1],
        [3, "stopping", 1],
        [4, "exited", 1],
        [5, "removed", 1],
      ],
    );
    assert.equal(seen[3]?.reason, "killed");
  });
});
