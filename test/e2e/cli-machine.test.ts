import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { describe, test } from "node:test";
import type { DoctorReport } from "../../src/doctor/report.ts";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { guest } from "../support/warder-fixture.ts";
import { type Cli, eventually, monitors, openCli } from "./cli-fixture.ts";

/** No binaries are named in the environment. */
const unnamed = { WARDER_FIRECRACKER: "", WARDER_JAILER: "" };
const real = requires("root", "kvm", "real-binaries");

describe("warder doctor", real, () => {
  test("--probe tries it all, says that VMs can be jailed, and leaves nothing", async () => {
    await using cli = openCli();
    await cli.run("ps");
    const before = cli.snapshot();
    const { status, stdout, stderr } = await cli.run("doctor", "--probe", "--json");
    assert.equal(status, 0, stderr);
    const { canJail, findings } = JSON.parse(stdout) as DoctorReport;
    assert.equal(canJail, true);
    const statuses = Object.fromEntries(findings.map((each) => [each.code, each.status]));
    for (const code of ["root", "kvm-device", "probe", "firecracker-binary", "cgroup-version", "cgroup-writable"]) {
      assert.equal(statuses[code], "ok", code);
    }
    assert.ok(["ok", "warning"].includes(statuses["kvm-speed"] ?? ""));
    assert.deepEqual(cli.snapshot(), before);
    assert.equal((await cli.run("ps", "-aq")).stdout, "");
  });

  test("says what is wrong and what to do, and fails", async () => {
    await using cli = openCli({ WARDER_FIRECRACKER: "/bin/sh", WARDER_JAILER: "/nowhere/jailer" });
    const { status, stdout } = await cli.run("doctor");
    assert.equal(status, 1);
    assert.match(stdout, /^STATUS +CHECK +FOUND\n/);
    assert.match(stdout, /^problem +Jailer +\/nowhere\/jailer does not exist$/m);
    assert.match(stdout, /\nproblem: Jailer \[jailer-binary\]\n {2}.*\n {2}.*\n {2}Run `warder setup`, or name one/);
    assert.match(stdout, /VMs can not be jailed here: \d+ problems, /);
  });

  test("looks for binaries as a start does, where none is named", async () => {
    await using cli = openCli({ ...unnamed, WARDER_CACHE_DIR: "/var/tmp/warder-no-cache" });
    const { findings } = JSON.parse((await cli.run("doctor", "--json")).stdout) as DoctorReport;
    const { firecracker } = await cli.json<{ firecracker: object }>("version");
    const found = findings.find(({ code }) => code === "firecracker-binary");
    assert.equal(found?.status, "version" in firecracker ? "ok" : "problem");
  });
});

describe("warder setup", real, () => {
  test("takes what is configured, and says why", async () => {
    await using cli = openCli();
    const { status, stdout, stderr } = await cli.run("setup");
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`^firecracker +${realBinaries()?.firecracker}\n`));
    assert.match(stdout, /^source +configured: they were named in the settings$/m);
  });

  test("installs from a directory into the cache, and finds it there afterwards", async () => {
    const cache = fs.mkdtempSync("/var/tmp/warder-cache-");
    await using cli = openCli({ ...unnamed, WARDER_CACHE_DIR: cache });
    const from = dirname(realBinaries()?.firecracker ?? assert.fail("there are binaries"));
    try {
      const installed = await cli.json<{ source: string; firecracker: string }>("setup", "--from", from);
      assert.equal(installed.source, "file");
      assert.ok(installed.firecracker.startsWith(`${cache}/bin/v`));
      // What is on PATH goes before the cache.
      const found = await cli.json<{ source: string; firecracker: string }>("setup", "--allow-test-binaries");
      if (found.source !== "path")
        assert.deepEqual([found.source, found.firecracker], ["cache", installed.firecracker]);
    } finally {
      fs.rmSync(cache, { recursive: true });
    }
  });

  test("fails with what it was given, and does not look elsewhere", async () => {
    await using cli = openCli();
    const { status, stderr } = await cli.run("setup", "--from", "/nowhere.tgz", "--sha256", "00".repeat(32));
    assert.equal(status, 1);
    assert.match(stderr, /^warder: installing Firecracker from \/nowhere\.tgz: it does not exist \[binary-missing\]/);
  });
});

describe("warder gc", real, () => {
  interface Entry {
    readonly kind: string;
    readonly name: string;
    readonly own: boolean;
    readonly action: string;
  }

  /** A VM whose monitor and then whose Firecracker were killed: nobody has seen its end. */
  async function abandon(cli: Cli, id: string): Promise<void> {
    await cli.run("run", "-d", "--kernel", guest("tick"), "--id", id);
    const { pid } = await cli.json<{ pid: number }>("inspect", id);
    for (const each of monitors(id)) process.kill(Number(each), "SIGKILL");
    await eventually("the monitor ends", () => monitors(id).length === 0);
    process.kill(pid, "SIGKILL");
    await eventually("Firecracker ends", () => !fs.existsSync(`/proc/${pid}/root/.`));
  }

  test("lists what is left, removes its own, and never what is foreign", async () => {
    await using cli = openCli();
    const id = cli.id("a");
    await cli.run("ps");
    const before = cli.snapshot();
    await abandon(cli, id);
    const foreign = `${cli.chrootBase}/firecracker/stranger`;
    fs.mkdirSync(`${foreign}/root`, { recursive: true });
    fs.symlinkSync("firecracker/stranger", `${cli.chrootBase}/stranger`);
    const old = new Date(Date.now() - 120_000);
    for (const path of [`${foreign}/root`, foreign]) fs.utimesSync(path, old, old);
    fs.lutimesSync(`${cli.chrootBase}/stranger`, old, old);
    fs.mkdirSync(`${cli.stateDir}/vms/orphan`);
    await cli.run("gc", "--dry-run");
    const abandoned = cli.snapshot();
    const planned = await cli.json<Entry[]>("gc", "--dry-run");
    assert.deepEqual(cli.snapshot(), abandoned);
    const own = planned.filter((entry) => entry.own);
    assert.deepEqual(new Set(own.map(({ kind }) => kind)), new Set(["record", "jail", "link", "cgroup", "output"]));
    assert.deepEqual(new Set(own.map(({ action }) => action)), new Set(["would be settled", "would be removed"]));
    const isHere = ({ own: isOwn, name }: Entry) => !isOwn && name.startsWith(cli.chrootBase);
    const strangers = (entries: Entry[]) => entries.filter(isHere).map(({ name, action }) => [name, action]);
    assert.deepEqual(strangers(planned), [
      [foreign, "foreign"],
      [`${cli.chrootBase}/stranger`, "foreign"],
    ]);
    assert.deepEqual(strangers(await cli.json<Entry[]>("gc", "--foreign", "--dry-run")), [
      [foreign, "would be removed"],
      [`${cli.chrootBase}/stranger`, "would be removed"],
    ]);

    const { status, stdout } = await cli.run("gc");
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^settled +record +${id} +its VM ended while nobody looked after it$`, "m"));
    assert.match(stdout, new RegExp(`^removed +jail +${cli.chrootBase}/firecracker/${id} `, "m"));
    assert.ok(fs.existsSync(foreign));
    fs.rmSync(`${cli.chrootBase}/stranger`);
    fs.rmSync(foreign, { recursive: true });
    assert.deepEqual(cli.snapshot(), before);
    const rest = await cli.json<Entry[]>("gc");
    assert.deepEqual(
      rest.filter(({ own: isOwn, name }) => isOwn || name.startsWith(cli.chrootBase)),
      [],
    );
    const [entry] = await cli.json<{ exit: { cause: string } }[]>("ps", "-a");
    assert.match(entry?.exit.cause ?? "", /^(unknown|killed-by-stranger)$/);
  });

  test("what can not be removed is told, and fails", async () => {
    await using cli = openCli();
    const id = cli.id("a");
    await abandon(cli, id);
    const inside = `${cli.chrootBase}/firecracker/${id}/root/mnt`;
    fs.mkdirSync(inside);
    const { execFileSync, spawn } = await import("node:child_process");
    execFileSync("mount", ["-t", "tmpfs", "none", inside]);
    // A mount that somebody is in can not be taken off.
    const sitter = spawn("/bin/sleep", ["600"], { cwd: inside, stdio: "ignore" });
    try {
      const { status, stdout, stderr } = await cli.run("gc");
      assert.equal(status, 1, stdout);
      assert.match(stdout, /^still there +jail /m);
      assert.match(stderr, /target is busy/);
      assert.match(stderr, /another file system is mounted there/);
    } finally {
      sitter.kill("SIGKILL");
      await once(sitter, "exit");
    }
    assert.equal((await cli.run("gc")).status, 0);
  });
});
