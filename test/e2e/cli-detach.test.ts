import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import type { VmView } from "../../src/vm/view.ts";
import { requires } from "../support/capability.ts";
import { guest } from "../support/warder-fixture.ts";
import { type Cli, eventually, monitors, openCli } from "./cli-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

interface PsEntry {
  readonly id: string;
  readonly state: string;
  readonly pid: number | null;
  readonly isolation: { readonly level: string };
  readonly uptimeMs: number;
  readonly exit?: { readonly cause: string };
}

/** Starts a VM in the background; its id. */
async function detach(cli: Cli, id: string, ...more: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await cli.run("run", "-d", "--kernel", guest("tick"), "--id", id, ...more);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, `${id}\n`);
  return id;
}

/** The one monitor of a VM. */
function monitorOf(id: string): number {
  const [pid, ...others] = monitors(id);
  assert.deepEqual(others, []);
  return Number(pid ?? assert.fail(`${id} has no monitor`));
}

describe("a VM in the background", real, () => {
  test("lives through a whole life that other commands see and lead", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const started = await cli.run("run", "-d", "--kernel", guest("tick"), "--id", cli.id("a"), "--memory", "256");
    assert.deepEqual([started.status, started.stdout], [0, `${cli.id("a")}\n`]);
    assert.match(started.stderr, /^\S+-a proven: (\d+) of \1 controls, /);
    const id = cli.id("a");

    const view = await cli.json<VmView>("inspect", id);
    assert.deepEqual([view.state, view.isolation?.level, view.memoryMib], ["running", "proven", 256]);
    const [entry, ...others] = await cli.json<PsEntry[]>("ps");
    assert.deepEqual(others, []);
    assert.deepEqual([entry?.id, entry?.state, entry?.pid], [id, "running", view.pid]);
    assert.equal(entry?.isolation.level, "proven");
    assert.match(
      (await cli.run("ps")).stdout,
      new RegExp(`^${id} +running +${view.pid} +proven +1 +256 MiB +\\d`, "m"),
    );
    assert.equal((await cli.run("ps", "-q")).stdout, `${id}\n`);

    const follower = cli.start("logs", "-f", "--tail", "2", id);
    await follower.until("stdout", /^(tick\n){3}/);
    const lines = (await cli.run("logs", "--json", "--tail", "1", id)).stdout;
    assert.deepEqual(JSON.parse(lines), { source: "console", line: "tick" });
    assert.match((await cli.run("logs", "--log", id)).stdout, /Successfully started microvm/);

    const paused = await cli.json<{ state: string }>("pause", id);
    assert.equal(paused.state, "paused");
    assert.match((await cli.run("ps")).stdout, /paused/);
    assert.deepEqual(await cli.json("resume", id), { id, state: "running" });
    const [stats] = await cli.json<{ usage: Record<string, number> }[]>("stats", id);
    assert.ok((stats?.usage.memoryBytes ?? 0) > 0 && (stats?.usage.cpuMicroseconds ?? 0) > 0);
    assert.match((await cli.run("stats")).stdout, new RegExp(`^ID +CPU TIME[\\s\\S]*\\n${id} `));

    const refused = await cli.run("rm", id);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /\[wrong-state\]/);
    const stopped = await cli.json<{ endedBy: string; exit: { cause: string } }>("stop", "--timeout", "0.2", id);
    assert.deepEqual([stopped.endedBy, stopped.exit.cause], ["sigterm", "killed"]);
    assert.equal((await follower.ended).status, 0);
    await eventually("the monitor ends", () => monitors(id).length === 0);
    assert.deepEqual(cli.snapshot(), before);

    assert.match((await cli.run("ps", "-a")).stdout, new RegExp(`^${id} +exited .*killed \\(SIGTERM\\)$`, "m"));
    assert.equal((await cli.run("ps", "-q")).stdout, "");
    assert.match((await cli.run("logs", id)).stdout, /tick/);
    assert.equal((await cli.run("stop", id)).stdout, `${id} had ended already\n`);
    assert.deepEqual(await cli.json("rm", id), { id, removed: true });
    for (const command of ["inspect", "logs", "stop", "start"]) assert.equal((await cli.run(command, id)).status, 4);
    assert.deepEqual(await cli.json("rm", id), { id, removed: true });
    assert.equal((await cli.run("rm", cli.id("never"))).status, 4);
  });

  test("several are led at once, and one that fails keeps none of the others", async () => {
    await using cli = openCli();
    const [a, b] = await Promise.all([detach(cli, cli.id("a")), detach(cli, cli.id("b"))]);
    const { status, stdout, stderr } = await cli.run("kill", a, "nope", b, "--json");
    assert.equal(status, 4);
    const documents = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string; error?: { code: string } });
    assert.deepEqual(
      documents.map(({ id, error }) => [id, error?.code]),
      [
        [a, undefined],
        ["nope", "vm-not-found"],
        [b, undefined],
      ],
    );
    assert.match(stderr, /^warder: looking up the VM nope: /);
    const entries = await cli.json<PsEntry[]>("ps", "-a");
    assert.deepEqual(
      entries.map(({ exit }) => exit?.cause),
      ["killed", "killed"],
    );
  });

  test("its monitor sees a guest's own end, and removes the jail", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const { status, stderr } = await cli.run("run", "--detach", "--probe", "--id", cli.id("a"));
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^CONTROL +WANTED/);
    await cli.run("logs", "-f", cli.id("a"));
    await eventually("the monitor ends", () => monitors(cli.id("a")).length === 0);
    assert.deepEqual(cli.snapshot(), before);
    const [entry] = await cli.json<PsEntry[]>("ps", "-a");
    assert.equal(entry?.exit?.cause, "guest-ended");
    assert.match((await cli.run("logs", cli.id("a"))).stdout, /warder probe: reset/);
  });

  test("with --rm nothing is left of it at all", async () => {
    await using cli = openCli();
    const id = await detach(cli, cli.id("a"), "--rm");
    await cli.run("kill", id);
    await eventually("the monitor ends", () => monitors(id).length === 0);
    assert.equal((await cli.run("inspect", id)).status, 4);
    assert.deepEqual(fs.readdirSync(`${cli.stateDir}/vms`), []);
  });

  test("--json gives the view of the VM that runs", async () => {
    await using cli = openCli();
    const view = await cli.json<VmView>("run", "-d", "--kernel", guest("idle"), "--id", cli.id("a"));
    assert.deepEqual([view.id, view.state], [cli.id("a"), "running"]);
    assert.ok(fs.existsSync(`/proc/${view.pid}`));
  });

  test("holds nothing of the caller's: no terminal, no directory, no environment, no descriptor", async () => {
    await using cli = openCli({ SECRET: "hunter2" });
    const pid = monitorOf(await detach(cli, cli.id("a")));
    assert.equal(fs.readlinkSync(`/proc/${pid}/cwd`), "/");
    assert.doesNotMatch(fs.readFileSync(`/proc/${pid}/environ`, "utf8"), /hunter2|PATH=/);
    const [, , , , , session, terminal] = fs
      .readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/\(.*\)/, "x")
      .split(" ");
    assert.deepEqual([session, terminal], [String(pid), "0"]);
  });

  for (const { signal, what } of [
    { signal: "SIGKILL", what: "is killed" },
    { signal: "SIGTERM", what: "is told to let go" },
  ] as const) {
    test(`goes on when its monitor ${what}, and everything still works`, async () => {
      await using cli = openCli();
      const before = cli.snapshot();
      const id = await detach(cli, cli.id("a"));
      process.kill(monitorOf(id), signal);
      await eventually("the monitor ends", () => monitors(id).length === 0);

      const [entry] = await cli.json<PsEntry[]>("ps");
      assert.deepEqual([entry?.id, entry?.state], [id, "running"]);
      assert.equal((await cli.json<VmView>("inspect", id)).pid, entry?.pid);
      const follower = cli.start("logs", "-f", "--tail", "0", id);
      await follower.until("stdout", /(tick\n){3}/);
      follower.child.kill("SIGINT");
      assert.deepEqual([(await follower.ended).status, follower.printed.stderr], [130, ""]);
      assert.equal((await cli.json<{ state: string }>("pause", id)).state, "paused");
      const stopped = await cli.json<{ endedBy: string }>("stop", id);
      assert.equal(stopped.endedBy, "sigterm");
      assert.deepEqual(cli.snapshot(), before);
      assert.match((await cli.run("logs", id)).stdout, /tick/);
    });
  }

  test("a start that is interrupted leaves nothing", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const id = cli.id("a");
    const running = cli.start("run", "-d", "--kernel", guest("tick"), "--id", id);
    await eventually("the monitor is there", () => monitors(id).length === 1);
    running.child.kill("SIGINT");
    const { status, stdout, stderr } = await running.ended;
    assert.equal(status, 130, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, /\[aborted\]/);
    await eventually("the monitor ends", () => monitors(id).length === 0);
    await cli.run("gc");
    assert.deepEqual(cli.snapshot(), before);
  });
});

describe("a start in the background that fails", real, () => {
  test("for its monitor was killed says so, and what it left goes with the next look", async () => {
    await using cli = openCli();
    const before = cli.snapshot();
    const id = cli.id("a");
    const running = cli.start("run", "-d", "--kernel", guest("tick"), "--id", id);
    await eventually("the monitor is there", () => monitors(id).length === 1);
    process.kill(monitorOf(id), "SIGKILL");
    const { status, stderr } = await running.ended;
    assert.equal(status, 1, stderr);
    assert.match(stderr, /its monitor ended with SIGKILL before it answered: it said nothing \[internal\]/);
    assert.equal((await cli.run("gc")).status, 0);
    assert.deepEqual(cli.snapshot(), before);
  });

  for (const { what, args, status, code } of [
    { what: "a kernel that is not there", args: ["--kernel", "/nowhere"], status: 1, code: "asset-missing" },
    { what: "a kernel that is none", args: ["--kernel", "/etc/passwd"], status: 1, code: "asset-unfit" },
    { what: "no jailer under strict", args: ["--probe", "--unjailed"], status: 3, code: "unjailed-refused" },
    {
      what: "a Firecracker that is not there",
      args: ["--probe", "--firecracker", "/nowhere"],
      status: 1,
      code: "binary-missing",
    },
  ] as const) {
    test(`for ${what} comes back as in the foreground`, async () => {
      await using cli = openCli();
      const before = cli.snapshot();
      const outcomes = await Promise.all([[], ["--detach"]].map((more) => cli.run("run", ...args, ...more, "--json")));
      for (const outcome of outcomes) {
        assert.equal(outcome.status, status, outcome.stderr);
        const { error } = JSON.parse(outcome.stdout) as { error: { code: string } };
        assert.equal(error.code, code);
        assert.match(outcome.stderr, new RegExp(`\\[${code}\\]`));
      }
      await eventually("the monitor ends", () => cli.snapshot().monitors.length === 0);
      assert.deepEqual(cli.snapshot(), before);
    });
  }

  test("an id that is taken is refused, and its owner goes on", async () => {
    await using cli = openCli();
    const id = await detach(cli, cli.id("a"));
    for (const more of [[], ["--detach"]]) {
      const { status, stderr } = await cli.run("run", "--kernel", guest("tick"), "--id", id, ...more);
      assert.equal(status, 1);
      assert.match(stderr, /\[vm-exists\]/);
    }
    assert.equal((await cli.json<VmView>("inspect", id)).state, "running");
  });
});
