import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { VmChange } from "../../src/vm/change.ts";
import type { VmView } from "../../src/vm/view.ts";
import { requires } from "../support/capability.ts";
import { guest } from "../support/warder-fixture.ts";
import { type Cli, eventually, monitors, openCli } from "./cli-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

/** Kills a VM's process as a stranger would. */
async function murder(cli: Cli, id: string): Promise<void> {
  const { pid } = await cli.json<VmView>("inspect", id);
  process.kill(pid ?? assert.fail(`${id} has no process`), "SIGKILL");
}

/** Asks until a VM is as wanted. */
async function untilVm(cli: Cli, id: string, what: string, isSo: (view: VmView) => boolean): Promise<VmView> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const view = await cli.json<VmView>("inspect", id);
    if (isSo(view)) return view;
    assert.ok(performance.now() < deadline, `not in time: ${what}, but ${JSON.stringify(view)}`);
  }
}

describe("a VM of the command line", real, () => {
  test("is created, started, rebooted and started again, and watch tells its whole life", async () => {
    await using cli = openCli();
    const id = cli.id("life");
    const before = cli.snapshot();
    const made = await cli.run("create", "--id", id, "--kernel", guest("tick"));
    assert.deepEqual([made.status, made.stdout], [0, `${id}\n`], made.stderr);
    assert.equal((await cli.json<VmView>("inspect", id)).state, "created");
    assert.deepEqual(cli.snapshot(), before);

    assert.deepEqual((await cli.run("start", id)).stdout, `${id}\n`);
    assert.equal(monitors(id).length, 1);
    const started = await cli.json<VmView>("start", id);
    assert.deepEqual([started.state, started.incarnation, started.isolation?.level], ["running", 1, "proven"]);

    const rebooted = await cli.json<VmView>("reboot", "--timeout", "0.1", id);
    assert.deepEqual([rebooted.state, rebooted.incarnation], ["running", 2]);
    assert.notEqual(rebooted.pid, started.pid);
    assert.equal(monitors(id).length, 1);
    await cli.run("kill", id);
    await eventually("the monitor ends", () => monitors(id).length === 0);
    assert.equal((await cli.json<VmView>("start", id)).incarnation, 3);
    await cli.run("kill", id);
    assert.equal((await cli.run("rm", id)).status, 0);
    assert.equal((await cli.run("rm", id)).status, 0);

    const watch = cli.start("watch", id, "--since", "0", "--json");
    await watch.until("stdout", /"removed"/);
    watch.child.kill("SIGINT");
    assert.equal((await watch.ended).status, 130);
    const changes = watch.printed.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as VmChange);
    const run = "starting running stopping";
    assert.equal(
      changes.map(({ state }) => state).join(" "),
      `created ${run} restarting ${run} exited ${run} exited removed`,
    );
    assert.deepEqual(
      changes.map(({ sequence }) => sequence),
      changes.map((_change, index) => index + 1),
    );
  });

  test("that nobody looks after any more is given a monitor by a reboot", async () => {
    await using cli = openCli();
    const id = cli.id("orphan");
    await cli.run("run", "-d", "--kernel", guest("tick"), "--id", id);
    process.kill(Number(monitors(id)[0]), "SIGKILL");
    await eventually("the monitor is gone", () => monitors(id).length === 0);
    const view = await cli.json<VmView>("reboot", "--timeout", "0.1", id);
    assert.deepEqual([view.state, view.incarnation], ["running", 2]);
    assert.equal(monitors(id).length, 1);
  });

  test("whose start fails says so, and is failed", async () => {
    await using cli = openCli();
    const id = cli.id("broken");
    await cli.run("create", "--id", id, "--kernel", guest("tick"), "--netns", "/run/netns/warder-nowhere");
    const { status, stderr } = await cli.run("start", id);
    assert.equal(status, 1);
    assert.match(stderr, /\[jailer-failed\]/);
    const view = await cli.json<VmView>("inspect", id);
    assert.deepEqual([view.state, view.exit?.cause], ["failed", "start-failed"]);
    assert.equal((await cli.run("reboot", id)).status, 1);
    assert.equal(monitors(id).length, 0);
  });

  test("is made once, however often the call is repeated with its key", async () => {
    await using cli = openCli();
    const call = ["run", "-d", "--kernel", guest("idle"), "--idempotency-key", "order-1"];
    const first = await cli.run(...call);
    const second = await cli.run(...call);
    assert.deepEqual([second.status, second.stdout], [0, first.stdout], second.stderr);
    assert.equal((await cli.run("ps", "-aq")).stdout, first.stdout);
    const other = await cli.run(...call, "--vcpus", "2");
    assert.equal(other.status, 1);
    assert.match(other.stderr, /\[idempotency-conflict\]/);
  });
});

describe("warder run --restart", real, () => {
  test("in the foreground starts a guest that failed again, shows its console on, and ends with its last exit", async () => {
    await using cli = openCli();
    const id = cli.id("fg");
    const running = cli.start("run", "--kernel", guest("tick"), "--id", id, "--restart", "on-failure:1");
    await running.until("stderr", /proven/);
    for (const incarnation of [1, 2]) {
      await untilVm(cli, id, "it runs", (view) => view.state === "running" && view.incarnation === incarnation);
      await murder(cli, id);
    }
    const { status, stdout, stderr } = await running.ended;
    assert.equal(status, 137, stderr);
    assert.match(stdout, /tick/);
    assert.match(stderr, /will be started again \(vm_id=\S+, cause=killed-by-stranger, evidence=.*, retry=1/);
    const { incarnation, history, state } = await cli.json<VmView>("inspect", id);
    assert.deepEqual([incarnation, history?.length, state], [2, 1, "exited"]);
  });

  test("goes on after its monitor was killed between two runs: the next command gives it a new one", async () => {
    await using cli = openCli();
    const id = cli.id("bg");
    const before = cli.snapshot();
    await cli.run("run", "-d", "--kernel", guest("tick"), "--id", id, "--restart", "always");
    await murder(cli, id);
    await untilVm(
      cli,
      id,
      "it is between two runs",
      ({ state, incarnation }) => state === "restarting" || incarnation === 2,
    );
    process.kill(Number(monitors(id)[0]), "SIGKILL");
    const view = await untilVm(cli, id, "it runs", (each) => each.state === "running" && each.incarnation === 2);
    assert.equal(view.isolation?.level, "proven");
    assert.equal(view.restart?.retries, 1);
    await eventually("it has a monitor", () => monitors(id).length === 1);
    const stopped = await cli.json<{ exit: { cause: string } }>("stop", "--timeout", "0.1", id);
    assert.equal(stopped.exit.cause, "killed");
    await eventually("the monitor ends", () => monitors(id).length === 0);
    assert.deepEqual(cli.snapshot(), before);
  });

  test("is refused where the policy is none, with the flag's name", async () => {
    await using cli = openCli();
    const { status, stderr } = await cli.run("run", "--probe", "--restart", "on-failure:0");
    assert.equal(status, 2);
    assert.match(stderr, /--restart: must be at least 1/);
  });
});

test("watch says that changes are gone, and what to do", real, async () => {
  await using cli = openCli();
  const { status, stderr } = await cli.run("watch", "--since", "12345");
  assert.equal(status, 1);
  assert.match(stderr, /\[gone\]\n {2}Take the cursor of now, list the VMs/);
});
