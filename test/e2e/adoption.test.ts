import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Warder } from "../../src/lifecycle/warder.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { toVmId } from "../../src/vm/id.ts";
import type { VmRecord } from "../../src/vm/record.ts";
import { requires } from "../support/capability.ts";
import { until } from "../support/conformance/until.ts";
import { startManager } from "../support/manager-process.ts";
import { guest, openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

/** Starts a VM in a manager that is then killed, and tells its record. */
async function orphan(fixture: WarderFixture, spec: object = { kernel: guest("tick") }): Promise<VmRecord> {
  await using manager = startManager(
    fixture.options,
    `const warder = await Warder.open(options);
     const vm = await warder.run(${JSON.stringify(spec)});
     tell(vm.id);
     await idle();`,
  );
  const id = String(await manager.tell());
  await manager.kill();
  return recordOf(fixture.warder, id);
}

function recordOf(warder: Warder, id: string): VmRecord {
  const record = warder.machinery.store.get(toVmId(id));
  assert.ok(record !== undefined);
  return record;
}

function plant(warder: Warder, { id }: VmRecord, change: (record: VmRecord) => VmRecord): void {
  warder.machinery.store.update(id, change);
}

const processOf = ({ process }: VmRecord) => process ?? assert.fail("no process");
const isAlive = (warder: Warder, record: VmRecord) => warder.machinery.host.processes.isAlive(processOf(record));

describe("a VM whose manager was killed", real, () => {
  test("is taken over with its console, its identity and its proof, and answers every call", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const record = await orphan(fixture);
    const vm = fixture.warder.get(record.id);
    assert.equal(vm.lookAfter(), true);
    const seen = vm.readConsole().length;
    await until("its console goes on", () => vm.readConsole().length > seen);
    assert.equal(vm.inspect().pid, processOf(record).pid);
    const report = await vm.prove();
    assert.equal(report.level, "proven", report.gaps.join("\n"));
    assert.deepEqual(names(report.controls), names(record.isolation?.controls ?? []));
    await vm.pause();
    await vm.resume();
    await vm.kill();
    assert.deepEqual([vm.inspect().exit?.cause, vm.inspect().exit?.signal], ["killed", "SIGKILL"]);
    await vm.remove();
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("that can not be taken over belongs to nobody, and is taken over once it can", async () => {
    await using fixture = await openFixture();
    const record = await orphan(fixture);
    const log = `${record.layout.io}/log`;
    fs.renameSync(log, `${log}.away`);
    const vm = fixture.warder.get(record.id);
    assert.throws(() => vm.lookAfter(), /ENOENT/);
    assert.equal(recordOf(fixture.warder, record.id).owner, undefined);
    fs.renameSync(`${log}.away`, log);
    assert.equal(vm.lookAfter(), true);
    await vm.kill();
  });

  test("has the cause of its end although nobody was there: the status was written down", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const record = await orphan(fixture);
    const began = Date.now();
    process.kill(processOf(record).pid, "SIGTERM");
    await until("it is dead", () => !isAlive(fixture.warder, record));
    await pause(300);
    const reopened = await fixture.reopen();
    const { exit } = reopened.get(record.id).inspect();
    assert.deepEqual([exit?.cause, exit?.signal], ["killed-by-stranger", "SIGTERM"]);
    assert.match(exit?.evidence.join("\n") ?? "", /no manager looked after it/);
    assert.ok(Math.abs((exit?.at ?? 0) - began) < 250, "the time is that of its end, not of its discovery");
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("that ended by itself meanwhile has ended so", async () => {
    await using fixture = await openFixture();
    const record = await orphan(fixture, { kernel: "probe" });
    await until("it is dead", () => !isAlive(fixture.warder, record));
    const reopened = await fixture.reopen();
    const { exit } = reopened.get(record.id).inspect();
    assert.deepEqual([exit?.cause, exit?.code], ["guest-ended", 0]);
  });

  test("has an unknown end where the keeper of its status was killed too", async () => {
    await using fixture = await openFixture();
    const record = await orphan(fixture);
    process.kill(parentOf(processOf(record).pid), "SIGKILL");
    process.kill(processOf(record).pid, "SIGKILL");
    await until("it is dead", () => !isAlive(fixture.warder, record));
    const reopened = await fixture.reopen();
    const { exit } = reopened.get(record.id).inspect();
    assert.deepEqual([exit?.cause, exit?.code, exit?.signal], ["unknown", null, null]);
  });
});

describe("a process that is not what was recorded", real, () => {
  test("is a stranger: it is left alone, aloud, and so is everything of the VM", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    const record = recordOf(fixture.warder, vm.id);
    await using bystander = sleeper();
    const other = fixture.warder.machinery.host.processes.identify(bystander.pid);
    assert.ok(other !== undefined);
    const another = await fixture.reopen();
    plant(another, record, ({ owner: _owner, ...rest }) => ({ ...rest, process: other }));
    const stranger = another.get(vm.id);
    await assert.rejects(stranger.kill(), (error) => isWarderError(error) && error.code === "process-stranger");
    assert.equal(fixture.warder.machinery.host.processes.isAlive(other), true);
    await fixture.reopen();
    assert.equal(recordOf(another, vm.id).state, "running");
    assert.match(recordOf(another, vm.id).stranger?.why ?? "", /command line/);
    assert.ok(fixture.warnings.some((warning) => /left alone/.test(warning)));
    assert.ok(fs.existsSync(record.layout.directory));
    plant(another, record, (each) => ({ ...each, process: processOf(record) }));
  });

  test("is known by its root too, whatever its command line says", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("idle") });
    const record = recordOf(fixture.warder, vm.id);
    await using impostor = sleeper("--id", vm.id);
    const other = fixture.warder.machinery.host.processes.identify(impostor.pid);
    assert.ok(other !== undefined);
    const another = await fixture.reopen();
    plant(another, record, ({ owner: _owner, ...rest }) => ({ ...rest, process: other }));
    await assert.rejects(another.get(vm.id).kill(), /does not see its jail as root/);
    plant(another, record, (each) => ({ ...each, process: processOf(record) }));
  });

  test("under a pid that was given out again is left alone, and the VM has ended", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const record = await orphan(fixture);
    await using bystander = sleeper();
    process.kill(processOf(record).pid, "SIGKILL");
    await until("it is dead", () => !isAlive(fixture.warder, record));
    plant(fixture.warder, record, (each) => ({ ...each, process: { ...processOf(each), pid: bystander.pid } }));
    const reopened = await fixture.reopen();
    const { exit } = reopened.get(record.id).inspect();
    assert.match(exit?.evidence.join("\n") ?? "", /is another one by now, which was left alone/);
    assert.equal(fs.existsSync(`/proc/${bystander.pid}`), true);
    assert.deepEqual(fixture.snapshot(), before);
  });
});

describe("after a boot of the host", real, () => {
  test("a VM has ended by it, and what is left of it goes", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const record = await orphan(fixture);
    const bootId = "00000000-0000-4000-8000-000000000000";
    process.kill(parentOf(processOf(record).pid), "SIGKILL");
    process.kill(processOf(record).pid, "SIGKILL");
    await until("it is dead", () => !isAlive(fixture.warder, record));
    plant(fixture.warder, record, (each) => ({ ...each, process: { ...processOf(each), bootId } }));
    const reopened = await fixture.reopen();
    const { exit, state } = reopened.get(record.id).inspect();
    assert.deepEqual([state, exit?.cause], ["exited", "host-reboot"]);
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("a VM that had ended before has the cause that it had", async () => {
    await using fixture = await openFixture();
    const record = await orphan(fixture, { kernel: "probe" });
    await until("it is dead", () => !isAlive(fixture.warder, record));
    await until("its status is written", () => fs.existsSync(`${record.layout.io}/exit`));
    const bootId = "00000000-0000-4000-8000-000000000000";
    plant(fixture.warder, record, (each) => ({ ...each, process: { ...processOf(each), bootId } }));
    const reopened = await fixture.reopen();
    assert.equal(reopened.get(record.id).inspect().exit?.cause, "guest-ended");
  });
});

const names = (controls: readonly { readonly phase: string; readonly name: string }[]) =>
  controls.map(({ phase, name }) => `${phase} ${name}`);

/** A process that has nothing to do with VMs. */
function sleeper(...args: string[]): AsyncDisposable & { readonly pid: number } {
  const child = spawn("/bin/sh", ["-c", "while :; do sleep 1; done", "sleeper", ...args], { stdio: "ignore" });
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
    },
  };
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}
