import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import type { VmView } from "../../src/vm/view.ts";
import { requires } from "../support/capability.ts";
import { guest } from "../support/warder-fixture.ts";
import { eventually, openCli, program, start } from "./cli-fixture.ts";

const real = requires("root", "kvm", "real-binaries");
const tick = ["run", "--kernel", guest("tick")];

describe("warder run in the foreground", real, () => {
  test("--probe shows the console, each control once, the times, and leaves nothing", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const { status, stdout, stderr } = await cli.run("run", "--probe");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^warder probe: up\r?\n[\s\S]*warder probe: reset/);
    assert.match(stdout, /proven: (\d+) of \1 controls, /);
    const [, table = ""] = stdout.split(/CONTROL +WANTED +FOUND\n/);
    const controls = table.split(/\n(?=\S+ proven:)/)[0]?.split("\n") ?? [];
    const names = controls.map((line) => line.split(/ {2,}/)[0]);
    assert.equal(new Set(names).size, names.length);
    for (const name of ["root", "uid", "capabilities", "seccomp", "limit.memory"])
      assert.ok(names.includes(name), name);
    assert.match(stdout, /STEP +TIME\n[\s\S]*total +[\d.]+ ms/);
    assert.match(stderr, /^vm-\d+ ended after .*: guest-ended\n$/);
    assert.deepEqual(cli.snapshot(), before);
  });

  test("--json has the contract's members, in one document on standard output", async () => {
    await using cli = openCli();
    const { status, stdout, stderr } = await cli.run("run", "--probe", "--json", "--id", cli.id("a"));
    assert.equal(status, 0, stderr);
    assert.equal(stdout.trimEnd().split("\n").length, 1);
    assert.match(stderr, /warder probe: reset/);
    const view = JSON.parse(stdout) as VmView;
    assert.deepEqual([view.id, view.state, view.pid, view.jailed], [cli.id("a"), "exited", null, true]);
    assert.deepEqual(Object.keys(view.jail).sort(), ["gid", "id", "root", "socket", "uid"]);
    assert.equal(view.jail.root, `${cli.chrootBase}/firecracker/${view.id}/root`);
    assert.equal(view.limits.pids, 1024);
    assert.deepEqual([view.isolation?.level, view.isolation?.gaps], ["proven", []]);
    const controls = view.isolation?.controls ?? [];
    assert.ok(controls.length > 40);
    for (const { name, wanted, found, ok } of controls) {
      assert.deepEqual([typeof name, typeof wanted, typeof found, ok], ["string", "string", "string", true]);
    }
    assert.ok(Object.entries(view.timings).every(([step, ms]) => step.endsWith("Ms") && ms >= 0));
    assert.ok((view.timings.totalMs ?? 0) > 0);
    const { code, signal, cause, evidence } = view.exit ?? assert.fail("there is no exit");
    assert.deepEqual([code, signal, cause], [0, null, "guest-ended"]);
    assert.ok(evidence.every((line) => typeof line === "string"));
    assert.deepEqual(await cli.json<VmView>("inspect", view.id), view);
  });

  test("--quiet --rm shows the console and nothing else, and forgets the VM", async () => {
    await using cli = openCli();
    const outcome = await cli.run("run", "--kernel", guest("hello"), "--quiet", "--rm");
    assert.deepEqual(outcome, { status: 0, stdout: "hello from a jailed guest\n", stderr: "" });
    assert.equal((await cli.run("ps", "-aq")).stdout, "");
    assert.deepEqual(fs.readdirSync(`${cli.stateDir}/vms`), []);
  });

  test("a long console is shown whole afterwards, however slowly it is read", async () => {
    await using cli = openCli();
    const id = cli.id("a");
    await cli.run("run", "--kernel", guest("hello"), "--quiet", "--id", id);
    const text = "0123456789abcde\n".repeat(200_000);
    fs.writeFileSync(`${cli.stateDir}/vms/${id}/console`, text);
    assert.ok((await cli.run("logs", id)).stdout === text);
    assert.ok((await cli.run("logs", "--tail", "100000", id)).stdout === text.slice(-16 * 100_000));
    const { status, stderr } = await start("/bin/sh", ["-c", `"${program}" logs ${id} | head -c 1`], cli.environment)
      .ended;
    assert.deepEqual([status, stderr], [0, ""]);
  });

  test("Ctrl-C ends the VM in order, removes its jail, and the status is the VM's", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const running = cli.start(...tick, "--id", cli.id("a"));
    await running.until("stderr", /proven/);
    await running.until("stdout", /tick/);
    running.child.kill("SIGINT");
    await running.until("stderr", /stopping .*-a; once more kills it/);
    const { status, stderr } = await running.ended;
    // The guest takes no notice of Ctrl-Alt-Del.
    assert.equal(status, 143, stderr);
    assert.match(stderr, /ended after .*: killed \(SIGTERM\)\n/);
    assert.deepEqual(cli.snapshot(), before);
    const { rungs } = JSON.parse((await cli.run("stop", cli.id("a"), "--json")).stdout) as { rungs: unknown[] };
    assert.deepEqual(rungs, []);
  });

  test("a second Ctrl-C kills it", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const running = cli.start(...tick);
    await running.until("stderr", /proven/);
    running.child.kill("SIGTERM");
    await running.until("stderr", /stopping/);
    running.child.kill("SIGINT");
    const { status, stderr } = await running.ended;
    assert.equal(status, 137, stderr);
    assert.match(stderr, /killing [\s\S]*killed \(SIGKILL\)/);
    assert.deepEqual(cli.snapshot(), before);
  });

  test("a reader that goes away ends the VM, without a word", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const line = `"${program}" run --kernel "${guest("tick")}" --quiet --timeout 60 | head -n 1`;
    const { stdout, stderr } = await start("/bin/sh", ["-c", line], cli.environment).ended;
    assert.equal(stdout, "tick\n");
    assert.match(stderr, /^(warder: stopping .*\n)?$/);
    await eventually("the host is as before", () => JSON.stringify(cli.snapshot()) === JSON.stringify(before));
  });

  test("a VM that a stranger kills ends with that, and the evidence is told", async () => {
    await using cli = openCli();
    const running = cli.start(...tick, "--id", cli.id("a"));
    await running.until("stderr", /proven/);
    const { pid } = await cli.json<VmView>("inspect", cli.id("a"));
    process.kill(pid ?? assert.fail("it does not run"), "SIGKILL");
    const { status, stderr } = await running.ended;
    assert.equal(status, 137, stderr);
    assert.match(stderr, /killed-by-stranger \(SIGKILL\)\n {2}ended by SIGKILL/);
  });

  test("a start is given up where it is interrupted, and taken back", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const running = cli.start(...tick, "--log-level", "info");
    await running.until("stderr", /note: creating jailer command/);
    running.child.kill("SIGINT");
    const { status, stderr } = await running.ended;
    // Where the start was faster the VM was stopped: the guest takes no notice of Ctrl-Alt-Del.
    assert.ok(status === 130 || status === 143, stderr);
    if (status === 130) assert.match(stderr, /interrupted by SIGINT \[aborted\]/);
    assert.deepEqual(cli.snapshot(), before);
  });

  test("without the jailer it runs where that is asked for twice, and says so", async () => {
    await using cli = openCli();
    const refused = await cli.run("run", "--kernel", guest("hello"), "--unjailed");
    assert.equal(refused.status, 3);
    assert.match(refused.stderr, /\[unjailed-refused\]/);
    const { status, stdout, stderr } = await cli.run(
      ...["run", "--kernel", guest("hello"), "--unjailed", "--isolation", "degrade"],
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout, /hello from a jailed guest/);
    assert.match(stderr, /unjailed: \d+ of \d+ controls/);
  });

  test("colours are for terminals that want them", async () => {
    await using cli = openCli();
    const shown = (args: string, extra: Record<string, string> = {}) => {
      const env = { ...cli.environment, TERM: "xterm-256color", ...extra };
      return spawnSync("script", ["-qec", `"${program}" ${args}`, "/dev/null"], { env, encoding: "utf8" }).stdout;
    };
    assert.ok(shown("ps").startsWith("\u001b[1mID"));
    assert.match(shown("ps --no-color"), /^ID/);
    assert.match(shown("ps", { NO_COLOR: "1" }), /^ID/);
    assert.match((await cli.run("ps")).stdout, /^ID/);
  });
});
