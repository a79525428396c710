import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Caretaker } from "../../src/lifecycle/caretaker.ts";
import { Drivers } from "../../src/lifecycle/drivers.ts";
import { hostOperations } from "../../src/lifecycle/host-operations.ts";
import { whoManages } from "../../src/lifecycle/manager-lock.ts";
import { asOwner } from "../../src/lifecycle/owner.ts";
import { Warder } from "../../src/lifecycle/warder.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { startManager } from "../support/manager-process.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(5);
  }
}

const isLocked = (pid: number) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.deepEqual([error.code, error.exitStatus], ["state-locked", 3]);
  assert.match(error.message, new RegExp(`the process ${pid} is`));
  return true;
};

describe("the manager of a state directory", requires("root"), () => {
  test("is one: another is told its pid, and takes its place when it is killed", async () => {
    await using fixture = await openFixture();
    const options = { ...fixture.options, role: "manager" as const };
    await using first = startManager(options, "await Warder.open(options); tell('open'); await idle();");
    await first.tell();
    await assert.rejects(Warder.open(options), isLocked(first.pid));
    const { host, settings } = fixture.warder.machinery;
    assert.equal(whoManages(host, settings.stateDir)?.pid, first.pid);
    await first.kill();
    assert.equal(whoManages(host, settings.stateDir), undefined);
    {
      await using second = await Warder.open(options);
      assert.equal(whoManages(host, second.machinery.settings.stateDir)?.pid, process.pid);
      await assert.rejects(Warder.open(options), isLocked(process.pid));
    }
    await using third = await Warder.open(options);
    assert.ok(third);
  });

  test("is not known where what it wrote of itself is damaged, and is refused all the same", async () => {
    await using fixture = await openFixture();
    const options = { ...fixture.options, role: "manager" as const };
    await using first = await Warder.open(options);
    for (const text of ["{", "[]", '{"pid":-1}', ""]) {
      fs.writeFileSync(`${options.stateDir}/manager.json`, text);
      await assert.rejects(Warder.open(options), /another process is/);
    }
    assert.ok(first);
  });

  test("that died while it wrote is in nobody's way, whatever its pid was, and its drafts go", async () => {
    await using fixture = await openFixture();
    const { stateDir, chrootBase } = fixture.options;
    const { id } = await fixture.warder.create({ kernel: guest("idle") });
    const dead = spawnSync("true").pid;
    const drafts = [process.pid, dead].flatMap((pid) => [
      `${stateDir}/manager.json.new-${pid}`,
      `${chrootBase}/.warder-nodes/null.${pid}`,
      `${stateDir}/vms/${id}/record.json.${pid}`,
    ]);
    fs.mkdirSync(`${stateDir}/vms/${id}`, { recursive: true });
    for (const draft of drafts) fs.writeFileSync(draft, "half of");
    fs.rmSync(`${chrootBase}/.warder-nodes/null`);
    await using manager = await Warder.open({ ...fixture.options, role: "manager" });
    assert.equal(manager.list({ all: true }).length, 1);
    assert.deepEqual(
      drafts.filter((draft) => draft.endsWith(String(dead)) && fs.existsSync(draft)),
      [],
    );
    assert.ok(fs.statSync(`${chrootBase}/.warder-nodes/null`).isCharacterDevice());
  });

  test("has visitors beside it", async () => {
    await using fixture = await openFixture();
    await using manager = await Warder.open({ ...fixture.options, role: "manager" });
    await using visitor = await fixture.reopen();
    assert.deepEqual([manager.list(), visitor.list()], [[], []]);
  });
});

describe("a manager that opens", real, () => {
  test("takes over every VM of one that was killed, and proves it again", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const options = { ...fixture.options, role: "manager" as const };
    await using first = startManager(
      options,
      `const warder = await Warder.open(options);
       const vms = await Promise.all([1, 2, 3, 4].map(() => warder.run({ kernel: ${JSON.stringify(guest("tick"))} })));
       await vms[3].pause();
       tell(vms.map((vm) => vm.id));
       await idle();`,
    );
    const ids = (await first.tell()) as string[];
    await first.kill();
    const generations = ids.map((id) => fixture.warder.get(id).record.generation);
    await using second = await Warder.open(options);
    const vms = ids.map((id) => second.get(id));
    assert.deepEqual(
      vms.map((vm) => vm.record.owner?.pid),
      ids.map(() => process.pid),
    );
    assert.deepEqual(
      vms.map((vm) => vm.state),
      ["running", "running", "running", "paused"],
    );
    assert.deepEqual([...new Set(vms.map((vm) => vm.inspect().isolation?.level))], ["proven"]);
    vms.forEach((vm, index) => {
      assert.ok(vm.record.generation > (generations[index] ?? 0), "the proof was taken again");
    });
    const seen = vms[0]?.readConsole().length ?? 0;
    await until("consoles go on", () => (vms[0]?.readConsole().length ?? 0) > seen);
    assert.deepEqual(fixture.warnings, []);
    await Promise.all(vms.map((vm) => vm.remove({ force: true })));
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("tells of isolation that is not what it was, and lets the VM live", async () => {
    await using fixture = await openFixture();
    const first = await fixture.reopen();
    const vm = await first.run({ kernel: guest("idle") });
    fs.writeFileSync(`${vm.record.cgroup?.directories.pids}/pids.max`, "77");
    await first[Symbol.asyncDispose]();
    await using manager = await Warder.open({ ...fixture.options, role: "manager" });
    const seen = manager.get(vm.id);
    assert.equal(seen.state, "running");
    assert.match(seen.inspect().isolation?.gaps.join() ?? "", /limit\.pids: wanted 1024, found 77/);
    assert.ok(fixture.warnings.includes("VM is not isolated as asked any more"));
  });

  test("goes on to take over what others leave, and forgets what is too old", async () => {
    await using fixture = await openFixture();
    await using manager = await Warder.open({ ...fixture.options, role: "manager", retention: { endedVms: 1 } });
    const { machinery } = manager;
    await using drivers = {
      drivers: new Drivers(hostOperations(machinery)),
      [Symbol.asyncDispose]: () => drivers.drivers.close(),
    };
    await using caretaker = new Caretaker(machinery, drivers.drivers, 20);
    await caretaker.begin();
    await using visitor = startManager(
      fixture.options,
      `const warder = await Warder.open(options);
       tell((await warder.run({ kernel: ${JSON.stringify(guest("tick"))} })).id);
       await idle();`,
    );
    const id = String(await visitor.tell());
    await visitor.kill();
    await until("it is taken over", () => manager.get(id).record.owner?.pid === process.pid);
    const ended = [];
    for (let count = 0; count < 3; count++) {
      const vm = await fixture.warder.run({ kernel: guest("hello") });
      await vm.wait();
      ended.push(vm.id);
    }
    await until("the oldest are forgotten", () => manager.list({ all: true }).length === 2);
    assert.deepEqual(
      manager.list({ all: true }).map((vm) => vm.id),
      [id, ended[2]],
    );
    const kept = fs.readdirSync(`${machinery.settings.stateDir}/vms`).sort();
    assert.deepEqual(kept, [id, ended[2]].sort());
  });

  test("lets go of what it owns and does not look after, and so takes it over", async () => {
    await using fixture = await openFixture();
    const { machinery } = fixture.warder;
    const first = await fixture.reopen();
    const { id } = await first.run({ kernel: guest("idle") });
    await first[Symbol.asyncDispose]();
    machinery.store.update(id, (record) => ({ ...record, owner: asOwner(machinery.host) }));
    const drivers = new Drivers(hostOperations(machinery));
    {
      await using caretaker = new Caretaker(machinery, drivers, 20);
      await caretaker.begin();
      await until("it is looked after", () => drivers.isBusyWith(id));
    }
    await drivers.close();
  });

  test("goes on after a round that failed", async () => {
    await using fixture = await openFixture();
    const { machinery } = fixture.warder;
    let lists = 0;
    let failAt = Number.POSITIVE_INFINITY;
    const store = new Proxy(machinery.store, {
      get(target, name) {
        if (name === "list" && ++lists === failAt) throw new Error("planted");
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const broken = { ...machinery, store };
    const drivers = new Drivers(hostOperations(machinery));
    {
      await using caretaker = new Caretaker(broken, drivers, 5);
      await caretaker.begin();
      failAt = lists + 1;
      await until("the rounds after it", () => lists > failAt + 10);
    }
    assert.ok(fixture.warnings.includes("part of the manager's round failed"));
    await drivers.close();
  });

  test("that can not open lets go of the state again", async () => {
    await using fixture = await openFixture();
    const options = { ...fixture.options, role: "manager" as const };
    const { stateDir } = fixture.options;
    fs.rmSync(`${stateDir}/vms`, { recursive: true });
    fs.symlinkSync("/nonexistent", `${stateDir}/vms`);
    await assert.rejects(Warder.open(options));
    fs.rmSync(`${stateDir}/vms`);
    await using opened = await Warder.open(options);
    assert.deepEqual(opened.list(), []);
  });
});
