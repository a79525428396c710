import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import { connect } from "node:net";
import { describe, type TestContext, test } from "node:test";
import type { VmView } from "../../src/vm/view.ts";
import { requires } from "../support/capability.ts";
import { guest } from "../support/warder-fixture.ts";
import { type Cli, monitors, type Outcome, openCli, type Running } from "./cli-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

/** A daemon of a command line's state directory, and the same commands by either way. */
async function openDaemon(context: TestContext) {
  const directory = fs.mkdtempSync("/var/tmp/warder-remote-");
  const socket = `${directory}/warder.sock`;
  const cli = openCli({ WARDER_SERVER_SOCKET: socket, WARDER_SERVER_PORT: "0", WARDER_METRICS_PORT: "0" });
  let daemon = await serve(cli);
  const end = async (signal: NodeJS.Signals) => {
    daemon.child.kill(signal);
    await daemon.ended;
  };
  context.after(async () => {
    await end("SIGTERM");
    await cli[Symbol.asyncDispose]();
    fs.rmSync(directory, { recursive: true, force: true });
  });
  return {
    cli,
    socket,
    end,
    /** A daemon after the one that has ended. */
    async restart() {
      daemon = await serve(cli);
    },
    daemon: () => daemon,
    remote: (...args: string[]) => cli.run(...args, "--host", `unix://${socket}`),
    local: (...args: string[]) => cli.run(...args, "--host", "local"),
  };
}

async function serve(cli: Cli): Promise<Running> {
  const daemon = cli.start("serve");
  await daemon.until("stdout", /warder serves/);
  return daemon;
}

type Way = (...args: string[]) => Promise<Outcome>;

/** Runs a command by both ways, which must come to the same, byte for byte. */
async function same(remote: Way, local: Way, ...args: string[]): Promise<Outcome> {
  const [there, here] = [await remote(...args), await local(...args)];
  assert.deepEqual(there, here, args.join(" "));
  return there;
}

/** The same as documents: members may come in another order. */
async function sameJson<T>(remote: Way, local: Way, ...args: string[]): Promise<T> {
  const [there, here] = [await remote(...args, "--json"), await local(...args, "--json")];
  assert.deepEqual(JSON.parse(there.stdout), JSON.parse(here.stdout), args.join(" "));
  assert.equal(there.status, here.status);
  return JSON.parse(there.stdout) as T;
}

describe("the command line of a daemon", real, () => {
  test("leads a VM through its life, and says what it says without one", async (context) => {
    const { cli, remote, local } = await openDaemon(context);
    const id = cli.id("a");
    const before = cli.snapshot();
    const started = await cli.run("run", "-d", "--kernel", guest("tick"), "--id", id);
    assert.deepEqual([started.status, started.stdout], [0, `${id}\n`], started.stderr);
    assert.match(started.stderr, /^\S+-a proven: (\d+) of \1 controls, /);
    // The daemon looks after it: that is how one sees which way was taken.
    assert.deepEqual(monitors(id), []);

    const paused = await cli.run("pause", id);
    assert.deepEqual([paused.status, paused.stdout], [0, `${id}\n`]);
    const view = await sameJson<VmView>(remote, local, "inspect", id);
    assert.deepEqual([view.id, view.state, view.isolation?.level], [id, "paused", "proven"]);
    assert.ok(view.output);
    await same(remote, local, "inspect", id);
    await same(remote, local, "ps", "-q");
    // The guest was paused wherever it was, perhaps in the middle of a line.
    assert.match((await same(remote, local, "logs", id)).stdout, /^(tick\n)+(t|ti|tic|tick)?$/);
    assert.match((await same(remote, local, "logs", "--tail", "2", id)).stdout, /^tick\n(tick\n|t|ti|tic|tick)$/);
    await same(remote, local, "logs", "--json", "--tail", "1", id);
    await same(remote, local, "logs", "--log", id);
    type Stats = { usage: Record<string, number> };
    const figures = async (way: Way) => JSON.parse((await way("stats", id, "--json")).stdout) as Stats[];
    const [[there], [here]] = [await figures(remote), await figures(local)];
    assert.deepEqual(Object.keys(there?.usage ?? {}).toSorted(), Object.keys(here?.usage ?? {}).toSorted());
    assert.ok((there?.usage.memoryBytes ?? 0) > 0);

    assert.equal((await cli.run("resume", id)).status, 0);
    const follower = cli.start("logs", "-f", "--tail", "0", id);
    await follower.until("stdout", /tick/);
    assert.match((await cli.run("stop", "-t", "0.1", id)).stdout, new RegExp(`^${id} ended by sigterm after`));
    assert.equal((await follower.ended).status, 0);
    assert.deepEqual(cli.snapshot(), before);

    await same(remote, local, "ps", "-a");
    await same(remote, local, "inspect", id);
    await sameJson(remote, local, "stats", id);
    await same(remote, local, "stop", id);
    await same(remote, local, "pause", id);
    assert.deepEqual([(await cli.run("rm", id)).status, (await cli.run("ps", "-aq")).stdout], [0, ""]);
    assert.equal((await same(remote, local, "rm", id)).status, 0);
  });

  test("runs a guest in the foreground, with its console and its exit, and leaves nothing", async (context) => {
    const { cli } = await openDaemon(context);
    const before = cli.snapshot();
    const probe = await cli.run("run", "--probe", "--rm", "--id", cli.id("p"));
    assert.equal(probe.status, 0, probe.stderr);
    assert.match(probe.stdout, /seccomp/);
    const running = cli.start("run", "--kernel", guest("tick"), "--id", cli.id("f"), "--rm");
    await running.until("stdout", /tick/);
    running.child.kill("SIGINT");
    await running.until("stderr", /stopping/);
    running.child.kill("SIGINT");
    await running.until("stderr", /killing/);
    const { status, stderr } = await running.ended;
    assert.equal(status, 137, stderr);
    assert.deepEqual(cli.snapshot(), before);
    assert.equal((await cli.run("ps", "-aq")).stdout, "");
  });

  test("gives a start back that it is told to give up", async (context) => {
    const { cli } = await openDaemon(context);
    const before = cli.snapshot();
    const running = cli.start("run", "-d", "--kernel", guest("tick"), "--id", cli.id("g"));
    running.child.kill("SIGINT");
    const { status } = await running.ended;
    assert.notEqual(status, 0);
    assert.deepEqual(cli.snapshot(), before);
  });

  test("forgets a VM that was to be forgotten, once it has ended", async (context) => {
    const { cli } = await openDaemon(context);
    const id = cli.id("r");
    await cli.json("run", "-d", "--rm", "--kernel", guest("idle"), "--id", id);
    assert.equal((await cli.run("kill", id)).status, 0);
    // The daemon forgets it when nobody waits any more.
    let left = `${id}\n`;
    while (left !== "") left = (await cli.run("ps", "-aq")).stdout;
  });

  test("tells errors, changes and leftovers as it does without a daemon", async (context) => {
    const { cli, remote, local } = await openDaemon(context);
    const id = cli.id("c");
    await cli.run("create", "--probe", "--id", id);
    for (const args of [
      ["inspect", "nope"],
      ["inspect", "../x", "--json"],
      ["logs", "nope"],
      ["stop", "nope", id],
      ["rm", "nope"],
      ["create", "--probe", "--id", id],
      ["run", "-d", "--kernel", "/nowhere/vmlinux", "--id", cli.id("n")],
      ["limit", id, "--drive", "none", "--ops", "5"],
      ["metadata", id, "get"],
      ["network", "inspect", "nope"],
      ["network", "rm", "nope"],
      ["vsock", "connect", id, "5"],
    ]) {
      const { status } = await same(remote, local, ...args);
      assert.notEqual(status, args[0] === "stop" ? undefined : 0, args.join(" "));
    }
    await same(remote, local, "network", "ls");
    const changes = async (...way: string[]) => {
      const watcher = cli.start("watch", "--since", "0", "--json", ...way);
      await watcher.until("stdout", /"created"/);
      watcher.child.kill("SIGINT");
      const { status, stdout } = await watcher.ended;
      return {
        status,
        changes: stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as object),
      };
    };
    assert.deepEqual(await changes(), await changes("--host", "local"));
    fs.mkdirSync(`${cli.stateDir}/vms/orphan`, { recursive: true });
    type Left = { own: boolean }[];
    const own = async (way: Way) => {
      const { stdout } = await way("gc", "--dry-run", "--json");
      return (JSON.parse(stdout) as Left).filter((each) => each.own);
    };
    assert.deepEqual(await own(remote), await own(local));
    assert.equal((await own(remote)).length, 1);
    assert.equal((await cli.run("gc")).status, 0);
    assert.deepEqual(await own(remote), []);
  });

  test("joins standard input and output to a guest's connection", async (context) => {
    const { cli } = await openDaemon(context);
    const id = cli.id("v");
    const { jail } = await cli.json<VmView>("run", "-d", "--kernel", guest("idle"), "--id", id, "--vsock");
    const listener = cli.start("vsock", "listen", id, "52");
    const link = `${cli.stateDir}/r`;
    fs.symlinkSync(jail.root, link);
    while (!fs.existsSync(`${link}/v.sock_52`)) await new Promise(setImmediate);
    // What Firecracker does when its guest connects to a port of the host's.
    const stream = connect({ path: `${link}/v.sock_52`, allowHalfOpen: true });
    await once(stream, "connect");
    stream.end("core dump");
    const { status, stdout, stderr } = await listener.ended;
    assert.deepEqual([status, stdout], [0, "core dump"], stderr);
    stream.destroy();
    assert.match((await cli.run("vsock", "connect", id, "5")).stderr, /\[vsock-refused\]|\[deadline-exceeded\]/);
  });

  test("goes on by itself where the daemon is dead or hangs, and does not where it was named", async (context) => {
    const { cli, socket, end, restart, daemon, remote } = await openDaemon(context);
    const id = cli.id("d");
    await cli.run("run", "-d", "--kernel", guest("idle"), "--id", id);
    daemon().child.kill("SIGSTOP");
    assert.equal((await cli.run("ps", "-q")).stdout, `${id}\n`);
    daemon().child.kill("SIGCONT");
    await end("SIGKILL");
    assert.ok(fs.existsSync(socket));
    const listed = await cli.run("ps", "-q");
    assert.deepEqual(listed, { status: 0, stdout: `${id}\n`, stderr: "" });
    const named = await remote("ps");
    assert.equal(named.status, 1);
    assert.match(named.stderr, /\[daemon-unreachable\]\n {2}See whether `warder serve` runs/);
    assert.equal((await cli.run("kill", id)).status, 0);
    await restart();
    assert.equal((await remote("rm", id)).status, 0);
  });

  test("of a user who may use neither the socket nor the state says which group to be in", async (context) => {
    const { cli, socket } = await openDaemon(context);
    fs.chmodSync(cli.stateDir.replace(/\/[^/]*$/, ""), 0o755);
    fs.chmodSync(socket.replace(/\/[^/]*$/, ""), 0o755);
    const { start } = await import("./cli-fixture.ts");
    const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
    const node = `${fs.mkdtempSync("/var/tmp/warder-node-")}/node`;
    fs.copyFileSync(process.execPath, node);
    fs.chmodSync(node.replace(/\/node$/, ""), 0o755);
    context.after(() => fs.rmSync(node.replace(/\/node$/, ""), { recursive: true }));
    const args = [
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      node,
      "--disable-warning=ExperimentalWarning",
      main,
    ];
    const { status, stderr } = await start("setpriv", [...args, "ps"], cli.environment).ended;
    assert.equal(status, 1, stderr);
    assert.match(stderr, /the daemon's socket may not be used either .*\[permission-denied\]/);
    assert.match(stderr, /member of the group that may use the daemon's socket/);
  });
});
