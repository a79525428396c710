import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Warder } from "../../src/lifecycle/warder.ts";
import { requires } from "../support/capability.ts";
import { startManager } from "../support/manager-process.ts";
import { guest, makeBed, type WarderFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");
const TICK = JSON.stringify(guest("tick"));
const HELLO = JSON.stringify(guest("hello"));

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(5);
  }
}

/** A manager's state after it was killed: two VMs that run, of which one is paused, and one that has ended. */
async function killedManager(options: WarderFixture["options"]): Promise<string[]> {
  await using manager = startManager(
    options,
    `const warder = await Warder.open(options);
     const ended = await warder.run({ kernel: ${HELLO} });
     await ended.wait();
     const vms = await Promise.all([1, 2].map(() => warder.run({ kernel: ${TICK} })));
     await vms[1].pause();
     setTimeout(() => tell([ended, ...vms].map((vm) => vm.id)), 200);
     await idle();`,
  );
  const ids = (await manager.tell()) as string[];
  await manager.kill();
  return ids;
}

const scribble = (path: string) => fs.writeFileSync(path, Buffer.alloc(fs.statSync(path).size, 0x55));
const facts = (warder: Warder) =>
  warder.list({ all: true }).map(({ record: { id, state, uid, process: identity, exit } }) => ({
    id,
    state,
    uid,
    pid: identity?.pid,
    cause: exit?.cause,
  }));

describe("a damaged state database", real, () => {
  test("is set aside and rebuilt; what runs goes on, and what has ended is known", async () => {
    await using bed = makeBed();
    const options = { ...bed.options, role: "manager" as const };
    const [ended = "", running = "", paused = ""] = await killedManager(options);
    const path = `${options.stateDir}/state.db`;
    {
      // The log of the last commits goes into the database, where it can be damaged.
      await using visitor = await Warder.open({ ...options, role: "visitor" });
      assert.equal(visitor.list({ all: true }).length, 3);
    }
    const pids = [running, paused].map((id) => JSON.parse(readDescription(options, id)).record.process.pid);
    scribble(path);
    await using manager = await Warder.open(options);
    assert.deepEqual(
      facts(manager).map(({ id, state, pid, cause }) => [id, state, state === "exited" ? cause : pid]),
      [
        [ended, "exited", "guest-ended"],
        [running, "running", pids[0]],
        [paused, "paused", pids[1]],
      ],
    );
    assert.match(bed.warnings.join("\n"), /the state database was damaged/);
    const aside = fs.readdirSync(options.stateDir).find((name) => /^state\.db\.damaged-\d{8}T\d+Z$/.test(name));
    assert.ok(aside !== undefined, fs.readdirSync(options.stateDir).join());
    assert.equal(fs.readFileSync(`${options.stateDir}/${aside}`)[0], 0x55);
    assert.equal(manager.get(running).inspect().isolation?.level, "proven");
    const seen = manager.get(running).readConsole().length;
    await until("its console goes on", () => manager.get(running).readConsole().length > seen);
    assert.match(manager.get(ended).readConsole(), /hello/i);
    const another = await manager.run({ kernel: guest("idle") });
    assert.equal(new Set(manager.list().map((vm) => vm.record.uid)).size, 3);
    for (const id of [running, paused, another.id]) await manager.get(id).remove({ force: true });
    assert.deepEqual(
      manager.list({ all: true }).map((vm) => vm.id),
      [ended],
    );
  });

  test("is followed by who has it open: the end of its VM stands in the new one", async () => {
    await using bed = makeBed();
    await using owner = startManager(
      bed.options,
      `const warder = await Warder.open(options);
       const vm = await warder.run({ kernel: ${TICK} });
       setTimeout(() => tell({ id: vm.id, pid: vm.inspect().pid }), 200);
       tell(await vm.wait());
       await idle();`,
    );
    const { id, pid } = (await owner.tell()) as { id: string; pid: number };
    scribble(`${bed.options.stateDir}/state.db`);
    await using other = await Warder.open(bed.options);
    assert.equal(other.get(id).record.owner?.pid, owner.pid);
    process.kill(pid, "SIGTERM");
    assert.equal(((await owner.tell()) as { cause: string }).cause, "killed-by-stranger");
    await until("it is known", () => other.get(id).record.exit?.cause === "killed-by-stranger");
    assert.equal(owner.complaints, "");
  });

  test("leaves out what was not described, and gives its ids to nobody", async () => {
    await using bed = makeBed();
    const options = { ...bed.options, uidRange: { first: 600_000, count: 2 } };
    const [, running = "", paused = ""] = await killedManager(options);
    {
      await using visitor = await Warder.open(options);
      assert.equal(visitor.list({ all: true }).length, 3);
    }
    const { process: lost, cgroup } = JSON.parse(readDescription(options, paused)).record;
    fs.writeFileSync(`${options.stateDir}/vms/${paused}/record.json`, "{");
    scribble(`${options.stateDir}/state.db`);
    await using warder = await Warder.open(options);
    assert.deepEqual(
      warder.list().map((vm) => vm.id),
      [running],
    );
    assert.ok(fs.existsSync(`/proc/${lost.pid}`), "nothing that runs was touched");
    await assert.rejects(warder.run({ kernel: guest("idle") }), /uid 60000[01] by process \d+/);
    process.kill(lost.pid, "SIGKILL");
    await until("it is dead", () => !fs.existsSync(`/proc/${lost.pid}`));
    await warder.get(running).remove({ force: true });
    for (const directory of new Set<string>(Object.values(cgroup.directories))) fs.rmdirSync(directory);
  });

  test("that was removed brings VMs that run back", async () => {
    await using bed = makeBed();
    const [, running = "", paused = ""] = await killedManager(bed.options);
    for (const part of ["", "-wal", "-shm"]) fs.rmSync(`${bed.options.stateDir}/state.db${part}`, { force: true });
    await using manager = await Warder.open({ ...bed.options, role: "manager" });
    assert.deepEqual(
      manager.list().map((vm) => [vm.id, vm.state]),
      [
        [running, "running"],
        [paused, "paused"],
      ],
    );
    for (const vm of manager.list()) await vm.remove({ force: true });
    assert.match(bed.warnings.join("\n"), /was not in the state database/);
  });
});

function readDescription({ stateDir }: WarderFixture["options"], id: string): string {
  return fs.readFileSync(`${stateDir}/vms/${id}/record.json`, "utf8");
}
