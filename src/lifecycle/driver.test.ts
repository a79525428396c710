import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { PlainTime } from "../../test/support/simulated-time.ts";
import { createdRecord, type Guest, SimulatedHost } from "../../test/support/simulated-vms.ts";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import type { ShutdownLadder } from "../vm/shutdown.ts";
import { toIdempotency } from "./idempotency.ts";

const id = toVmId("vm-1");
const ladder: ShutdownLadder = [
  { method: "ctrl-alt-del", timeoutMs: 5_000 },
  { method: "sigkill", timeoutMs: 5_000 },
];

function open() {
  const host = new SimulatedHost(new PlainTime());
  const made = (guest: Guest = {}, more: object = {}, name = "vm-1") => {
    host.store.add(createdRecord(name, host.describe(guest, { shutdown: ladder, ...more })));
    return toVmId(name);
  };
  const states = () => host.changes.map(({ state }) => state).join(" ");
  return { host, manager: host.openManager(), made, states };
}

/** Lets everything go on until something is so. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    assert.ok(turns < 10_000, `it never came to be that ${what}`);
    await turn();
  }
}

const failsWith =
  (code: string, text = /./) =>
  (error: unknown) => {
    assert.ok(isWarderError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };

describe("a VM that was created", () => {
  test("is started, and again after its end, as the same VM with the next incarnation", async () => {
    const { host, manager, made, states } = open();
    const driver = manager.driver(made());
    await driver.start();
    host.end(id, "guest-ended");
    assert.equal((await driver.wait()).cause, "guest-ended");
    await manager.driver(id).start();
    const record = host.store.get(id);
    assert.deepEqual([record?.state, record?.incarnation, record?.exit], ["running", 2, undefined]);
    assert.deepEqual(
      record?.history.map(({ incarnation, exit }) => [incarnation, exit.cause]),
      [[1, "guest-ended"]],
    );
    assert.equal(states(), "created starting running exited starting running");
  });
  test("keeps the newest ten runs in its history", async () => {
    const { host, manager, made } = open();
    made();
    for (let round = 0; round < 13; round++) {
      await manager.driver(id).start();
      host.end(id, "guest-ended");
      await manager.driver(id).wait();
    }
    const record = host.store.get(id);
    assert.deepEqual(
      record?.history.map(({ incarnation }) => incarnation),
      [3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    );
    assert.equal(record?.incarnation, 13);
  });
  test("whose start fails is failed with the reason, has nothing left, and may be started again", async () => {
    const { host, manager, made, states } = open();
    made({ fails: "boot" });
    await assert.rejects(manager.driver(id).start(), failsWith("firecracker-failed", /booting vm-1: as told/));
    const { state, exit, owner } = host.store.get(id) ?? {};
    assert.deepEqual([state, exit?.cause, owner], ["failed", "start-failed", undefined]);
    assert.match(String(exit?.evidence), /as told/);
    assert.deepEqual([host.alive(), host.store.ledger()], [[], []]);
    await assert.rejects(manager.driver(id).start(), failsWith("firecracker-failed"));
    assert.equal(states(), "created starting failed starting failed");
  });
  test("whose start is refused before anything is made stays as it was", async () => {
    const { host, manager, made } = open();
    made({ fails: "plan" });
    await assert.rejects(manager.driver(id).start(), failsWith("asset-missing"));
    assert.equal(host.store.get(id)?.state, "created");
  });
});

describe("calls that change nothing", () => {
  test("start of a running VM, stop and kill of a stopped one, removal of a removed one", async () => {
    const { manager, made, states } = open();
    const driver = manager.driver(made());
    await driver.start();
    await driver.start();
    await driver.kill();
    const nothing = { endedBy: undefined, rungs: [] };
    assert.deepEqual(await manager.driver(id).stop(), nothing);
    assert.deepEqual(await manager.driver(id).kill(), nothing);
    await manager.driver(id).remove();
    await manager.driver(id).remove();
    assert.equal(states(), "created starting running stopping exited removed");
  });
  test("what the state does not allow is refused with the reason", async () => {
    const { manager, made } = open();
    const driver = manager.driver(made());
    await assert.rejects(
      driver.setPower("paused"),
      failsWith("wrong-state", /it is created: only a VM that is running/),
    );
    await assert.rejects(driver.reboot(), failsWith("wrong-state", /start it/));
    await driver.start();
    await assert.rejects(driver.remove(), failsWith("wrong-state", /it is running: stop it first/));
    await driver.setPower("paused");
    await assert.rejects(driver.start(), failsWith("wrong-state", /it is paused: resume it/));
  });
  test("of a VM that is not there are refused as such", async () => {
    const { manager } = open();
    const driver = manager.driver(toVmId("nobody"));
    for (const call of [driver.start(), driver.stop(), driver.kill(), driver.setPower("paused"), driver.wait()])
      await assert.rejects(call, failsWith("vm-not-found"));
  });
});

describe("a start that is retried with its key", () => {
  test("begins nothing once more, also after the run has ended", async () => {
    const { host, manager, made } = open();
    made();
    await Promise.all([1, 2, 3].map(() => manager.driver(id).start({ idempotencyKey: "once" })));
    host.end(id, "guest-ended");
    await manager.driver(id).wait();
    await manager.driver(id).start({ idempotencyKey: "once" });
    assert.equal(host.store.get(id)?.incarnation, 1);
    await manager.driver(id).start({ idempotencyKey: "another" });
    assert.equal(host.store.get(id)?.incarnation, 2);
  });
  test("begins anew where it had failed", async () => {
    const { host, manager, made } = open();
    made({ fails: "boot" });
    for (let attempt = 0; attempt < 2; attempt++)
      await assert.rejects(manager.driver(id).start({ idempotencyKey: "k" }));
    assert.equal(host.store.get(id)?.incarnation, 2);
  });
  test("reboots once", async () => {
    const { host, manager, made } = open();
    made();
    await manager.driver(id).start();
    await Promise.all([1, 2].map(() => manager.driver(id).reboot({ idempotencyKey: "once" })));
    assert.deepEqual([host.store.get(id)?.incarnation, host.store.get(id)?.state], [2, "running"]);
  });
});

describe("a stop", () => {
  test("gives a start up, waits for its undo, and says so in the record", async () => {
    const { host, manager, made, states } = open();
    const driver = manager.driver(made());
    const started = driver.start();
    started.catch(() => undefined);
    await until("its process is there", () => host.alive().length === 1);
    assert.deepEqual(await driver.stop(), { endedBy: undefined, rungs: [] });
    assert.deepEqual([host.alive(), host.store.ledger()], [[], []]);
    await assert.rejects(started, failsWith("aborted", /told to stop/));
    assert.equal(host.store.get(id)?.exit?.cause, "stopped");
    assert.equal(states(), "created starting stopping exited");
  });
  test("of a VM that is being made leaves nothing of it", async () => {
    const { host, manager, states } = open();
    const made = manager.driver(id).make({ ...host.describe(), id }, {});
    made.catch(() => undefined);
    await until("it is written down", () => host.store.get(id) !== undefined);
    await manager.driver(id).stop();
    await assert.rejects(made, failsWith("aborted"));
    assert.deepEqual([host.alive(), host.store.list()], [[], []]);
    assert.equal(states(), "starting stopping removed");
  });
  test("gives up starts that wait for their turn too: they came before it", async () => {
    const { host, manager, made } = open();
    made();
    const starts = [1, 2].map(() => manager.driver(id).start());
    const results = Promise.allSettled(starts);
    await manager.driver(id).stop();
    assert.deepEqual(
      (await results).map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.notEqual(host.store.get(id)?.state, "running");
  });
  test("is cut short by a kill, and both are told what happened", async () => {
    const { host, manager, made } = open();
    const driver = manager.driver(made({}, { shutdown: ladder.map((rung) => ({ ...rung, timeoutMs: 3_600_000 })) }));
    await driver.start();
    const stopped = driver.stop();
    await until("it is stopping", () => host.store.get(id)?.state === "stopping");
    const killed = await driver.kill();
    assert.equal(killed.endedBy, "sigkill");
    assert.deepEqual(await stopped, killed);
    assert.match(String(killed.rungs[0]?.why), /cut short by a kill/);
  });
  test("comes before calls that wait, which are then refused", async () => {
    const { manager, made } = open();
    const driver = manager.driver(made());
    await driver.start();
    const paused = driver.setPower("paused");
    const resumed = driver.setPower("running");
    const refused = assert.rejects(resumed, failsWith("wrong-state", /it is exited/));
    await driver.stop();
    await paused;
    await refused;
  });
});

describe("a reboot", () => {
  test("ends the run in order and begins another one", async () => {
    const { host, manager, made, states } = open();
    const driver = manager.driver(made({ obeys: ["ctrl-alt-del"] }));
    await driver.start();
    await driver.reboot();
    const { incarnation, history, isToReboot } = host.store.get(id) ?? {};
    assert.deepEqual([incarnation, history?.[0]?.exit.cause, isToReboot], [2, "stopped", undefined]);
    assert.equal(states(), "created starting running stopping restarting starting running");
  });
  test("of a VM in another manager's hands is that one's to finish", async () => {
    const { host, manager, made } = open();
    await manager.driver(made()).start();
    await host.openManager().driver(id).reboot();
    const record = host.store.get(id);
    assert.deepEqual([record?.incarnation, record?.state], [2, "running"]);
    assert.equal(manager.operations.isOwn(record ?? assert.fail()), true);
  });
  test("is gone on with where its manager dies in the middle of it", async () => {
    const { host, manager, made } = open();
    await manager.driver(made()).start();
    void manager.driver(id).reboot();
    await until("it is between two runs", () => host.store.get(id)?.state === "restarting");
    manager.die();
    const next = host.openManager();
    await until("it can be taken over", () => next.driver(id).lookAfter());
    await until("it runs", () => host.store.get(id)?.state === "running");
    assert.equal(host.store.get(id)?.incarnation, 2);
  });
  test("is over with a kill", async () => {
    const { host, manager, made } = open();
    const driver = manager.driver(made());
    await driver.start();
    const rebooted = driver.reboot();
    rebooted.catch(() => undefined);
    await until("it is stopping", () => host.store.get(id)?.state === "stopping");
    await driver.kill();
    await assert.rejects(rebooted, failsWith("aborted", /killed/));
    assert.equal(host.store.get(id)?.state, "exited");
    for (let turns = 0; turns < 100; turns++) await turn();
    assert.equal(host.store.get(id)?.incarnation, 1);
  });
});

describe("a restart policy", () => {
  const restart = { policy: "on-failure", maxRetries: 2, backoffMs: 1_000 } as const;

  test("starts a VM that failed, until the ceiling, and tells each time", async () => {
    const { host, manager, made, states } = open();
    const driver = manager.driver(made({}, { restart }));
    await driver.start();
    for (let run = 1; run <= 3; run++) {
      await until("it runs", () => host.store.get(id)?.state === "running");
      assert.equal(host.store.get(id)?.incarnation, run);
      host.end(id, "guest-panic");
      await until("its end is seen", () => host.store.get(id)?.state !== "running");
    }
    assert.equal((await driver.wait()).cause, "guest-panic");
    const again = "restarting starting running";
    assert.equal(states(), `created starting running ${again} ${again} exited`);
    assert.equal(host.warnings.length, 2);
  });
  test("does not start one that ended as it should", async () => {
    const { host, manager, made } = open();
    const driver = manager.driver(made({}, { restart }));
    await driver.start();
    host.end(id, "guest-ended");
    assert.equal((await driver.wait()).cause, "guest-ended");
    assert.equal(host.store.get(id)?.state, "exited");
  });
  test("is over with a stop, also between two runs", async () => {
    const { host, manager, made, states } = open();
    const driver = manager.driver(made({}, { restart: { policy: "always" } }));
    await driver.start();
    host.end(id, "guest-panic");
    await until("it is between two runs", () => host.store.get(id)?.state === "restarting");
    const waited = driver.wait();
    await driver.stop();
    assert.equal((await waited).cause, "guest-panic");
    for (let turns = 0; turns < 100; turns++) await turn();
    assert.equal(states(), "created starting running restarting exited");
    assert.deepEqual([host.store.get(id)?.owner, host.store.get(id)?.restart], [undefined, undefined]);
  });
  test("goes on under the next manager, with the same count", async () => {
    const { host, manager, made } = open();
    await manager.driver(made({}, { restart })).start();
    host.end(id, "guest-panic");
    await until("it is between two runs", () => host.store.get(id)?.state === "restarting");
    manager.die();
    const next = host.openManager();
    assert.ok(next.driver(id).lookAfter());
    await until("it runs", () => host.store.get(id)?.state === "running");
    assert.deepEqual([host.store.get(id)?.incarnation, host.store.get(id)?.restart], [2, { retries: 1 }]);
  });
  test("sees the end of a VM whose manager died before it", async () => {
    const { host, manager, made } = open();
    await manager.driver(made({}, { restart: { policy: "always" } })).start();
    manager.die();
    host.end(id, "guest-panic");
    const next = host.openManager();
    const waited = next.driver(id).wait();
    await until(
      "it runs again",
      () => host.store.get(id)?.incarnation === 2 && host.store.get(id)?.state === "running",
    );
    await next.driver(id).kill();
    assert.equal((await waited).cause, "killed");
  });
  test("counts starts that fail, and ends with them", async () => {
    const { host, manager, made, states } = open();
    const driver = manager.driver(made({}, { restart }));
    await driver.start();
    const { bootArgs } = host.store.get(id)?.spec ?? assert.fail();
    host.store.update(id, (record) => ({
      ...record,
      spec: { ...record.spec, bootArgs: host.describe({ fails: "boot" }).bootArgs },
    }));
    host.end(id, "guest-panic");
    assert.equal((await driver.wait()).cause, "start-failed");
    assert.equal(states(), "created starting running restarting starting restarting starting failed");
    assert.notEqual(bootArgs, host.store.get(id)?.spec.bootArgs);
  });
  test("counts starts that are refused too, and ends with them", async () => {
    const { host, manager, made, states } = open();
    const driver = manager.driver(made({}, { restart }));
    await driver.start();
    host.store.update(id, (record) => ({
      ...record,
      spec: { ...record.spec, bootArgs: host.describe({ fails: "plan" }).bootArgs },
    }));
    host.end(id, "guest-panic");
    assert.equal((await driver.wait()).cause, "start-failed");
    assert.equal(states(), "created starting running restarting failed");
  });
  test("leaves a wait to the next manager when this one lets go, and counts nothing for it", async () => {
    const { host, manager, made } = open();
    await manager.driver(made({}, { restart })).start();
    host.end(id, "guest-panic");
    await until(
      "it is started again",
      () => host.store.get(id)?.state === "starting" && host.store.get(id)?.incarnation === 2,
    );
    await manager.close();
    const record = host.store.get(id);
    assert.deepEqual([record?.state, record?.restart?.retries, record?.owner], ["restarting", 1, undefined]);
    assert.deepEqual([host.alive(), host.store.ledger()], [[], []]);
  });
});

describe("two managers", () => {
  test("one gives up the other's start, and waits for its undo", async () => {
    const { host, manager, made } = open();
    const started = manager.driver(made()).start();
    started.catch(() => undefined);
    await until("its process is there", () => host.alive().length === 1);
    await host.openManager().driver(id).stop();
    assert.deepEqual(host.alive(), []);
    await assert.rejects(started, failsWith("aborted"));
    assert.match(String(host.store.get(id)?.state), /exited|failed/);
  });
  test("start a VM at once, and it runs once", async () => {
    const { host, manager, made } = open();
    made();
    const results = await Promise.allSettled([manager.driver(id).start(), host.openManager().driver(id).start()]);
    assert.ok(results.some(({ status }) => status === "fulfilled"));
    assert.deepEqual([host.alive().length, host.store.get(id)?.incarnation], [1, 1]);
  });
  test("one waits for the start of the other, and then for its VM's end", async () => {
    const { host, manager, made } = open();
    const first = manager.driver(made()).start();
    await until("it is starting", () => host.store.get(id)?.state === "starting");
    const other = host.openManager().driver(id);
    await other.start();
    await first;
    const waited = other.wait();
    host.end(id, "guest-ended");
    assert.equal((await waited).cause, "guest-ended");
  });
});

describe("a driver", () => {
  test("that has nothing to do makes room", async () => {
    const { manager, made } = open();
    const driver = manager.driver(made());
    assert.equal(manager.driver(id), driver);
    await driver.start();
    assert.equal(manager.driver(id), driver);
    await driver.kill();
    assert.notEqual(manager.driver(id), driver);
  });
  test("that lets go gives up what it does, and leaves the VM running", async () => {
    const { host, manager, made } = open();
    await manager.driver(made()).start();
    await manager.close();
    assert.equal(host.alive().length, 1);
    assert.deepEqual([host.store.get(id)?.state, host.store.get(id)?.owner], ["running", undefined]);
    await assert.rejects(manager.driver(id).setPower("paused"), /./);
  });
  test("knows what Firecracker says where a pause failed half way", async () => {
    const { host, manager, made } = open();
    const driver = manager.driver(made());
    await driver.start();
    const caller = new AbortController();
    const paused = driver.setPower("paused", { signal: caller.signal });
    caller.abort();
    await assert.rejects(paused, failsWith("aborted"));
    assert.equal(host.store.get(id)?.state, "running");
  });
  test("keeps the key of the call that makes a VM", async () => {
    const { host, manager } = open();
    const spec = host.describe();
    const idempotency = toIdempotency("key", spec);
    await manager.driver(id).make({ ...spec, id }, {}, idempotency);
    assert.deepEqual(host.store.findByKey("key"), { id, request: idempotency.request });
  });
});
