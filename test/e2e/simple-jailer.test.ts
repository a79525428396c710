import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { describe, test } from "node:test";
import {
  apiSocketPath,
  buildJailerArgs,
  isVmRunning,
  isWarderError,
  type JailerConfig,
  type JailerProcess,
  jailerConfig,
  startWithJailer,
} from "../../src/index.ts";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { guest } from "../support/warder-fixture.ts";
import { callApi, freeze, nothing, openSimple, type SimpleFixture, statusOf } from "./simple-fixture.ts";

const real = requires("root", "real-binaries");

/** The user `nobody`, everywhere. */
const NOBODY = 65_534;

const start = (fixture: SimpleFixture, id: string, overrides: Partial<JailerConfig> = {}) =>
  startWithJailer(jailerConfig(id, { ...fixture.sandbox, ...overrides }), fixture.options);

const fails = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, text);
  return true;
};

/** The value that the kernel keeps for a limit, whichever cgroup version the host has. */
function limitOf(process: JailerProcess, controller: string, v2File: string, v1File: string): string {
  const { cgroup } = process.inspect();
  return readFileSync(`${cgroup?.directories[controller]}/${cgroup?.version === 2 ? v2File : v1File}`, "utf8").trim();
}

/** Boots a guest through the API, the way a user of the socket does. */
async function bootThroughApi(process: JailerProcess, vcpus = 1): Promise<void> {
  copyFileSync(guest("tick"), `${process.inspect().jail.root}/vmlinux`);
  await callApi(process.apiSocket, "PUT", "/machine-config", { vcpu_count: vcpus, mem_size_mib: 128 });
  await callApi(process.apiSocket, "PUT", "/boot-source", { kernel_image_path: "/vmlinux" });
  await callApi(process.apiSocket, "PUT", "/actions", { action_type: "InstanceStart" });
}

describe("startWithJailer()", real, () => {
  test("has Firecracker wait for its configuration, in the jail that was asked for", async () => {
    await using fixture = openSimple();
    await using process = await start(fixture, "api-1");
    assert.equal(process.jailed, true);
    assert.equal(process.apiSocket, apiSocketPath(jailerConfig("api-1", fixture.sandbox)));
    assert.ok(statSync(process.apiSocket).isSocket());
    assert.deepEqual(await callApi(process.apiSocket, "GET", "/"), {
      id: "api-1",
      state: "Not started",
      vmm_version: process.inspect().firecrackerVersion,
      app_name: "Firecracker",
    });
    const { uid, root } = process.inspect().jail;
    assert.notEqual(uid, 0);
    assert.equal(statusOf(process.pid, "Uid"), Array(4).fill(uid).join("\t"));
    assert.equal(statusOf(process.pid, "CapEff"), "0".repeat(16));
    assert.equal(statSync(`/proc/${process.pid}/root`).ino, statSync(root).ino);
    assert.deepEqual(fixture.warnings, []);
  });

  test("proves the jail before anything untrusted runs, and says what is still to be proven", async () => {
    await using fixture = openSimple();
    await using process = await start(fixture, "api-1");
    const { level, controls, gaps } = process.isolation;
    assert.equal(level, "partial");
    assert.ok(controls.length > 25 && controls.every(({ ok, phase }) => ok && phase === "held"));
    assert.ok(gaps.includes("seccomp (running): the guest was not started yet"), gaps.join("\n"));
    assert.ok(gaps.every((gap) => gap.endsWith(": the guest was not started yet")));
  });

  test("limits memory to exactly the MiB that were asked for, and CPU time to the CPUs", async () => {
    await using fixture = openSimple();
    await using process = await start(fixture, "limits", { cpuCount: 3, memoryLimitMb: 300, limits: { pids: 99 } });
    assert.equal(limitOf(process, "memory", "memory.max", "memory.limit_in_bytes"), String(300 * 1024 * 1024));
    const cpu = limitOf(process, "cpu", "cpu.max", "cpu.cfs_quota_us");
    assert.equal(cpu.split(" ")[0], "300000");
    assert.equal(limitOf(process, "pids", "pids.max", "pids.max"), "99");
  });

  test("runs what buildJailerArgs() says", async () => {
    await using fixture = openSimple();
    const overrides = { uid: 612_345, gid: 612_346, cpuCount: 2, limits: { openFiles: 1500 } };
    await using process = await start(fixture, "argv", overrides);
    const version = process.inspect().cgroup?.version ?? 2;
    const args = buildJailerArgs(jailerConfig("argv", { ...fixture.sandbox, ...overrides, cgroupVersion: version }));
    const firecracker = args.slice(args.indexOf("--") + 1);
    const running = readFileSync(`/proc/${process.pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    assert.deepEqual(running.slice(-firecracker.length), firecracker);
    assert.equal(statusOf(process.pid, "Uid").split("\t")[0], "612345");
    assert.equal(statusOf(process.pid, "Gid").split("\t")[0], "612346");
    const { directories = {} } = process.inspect().cgroup ?? {};
    for (const setting of args.filter((_each, index) => args[index - 1] === "--cgroup")) {
      const [file = "", value] = setting.split("=", 2);
      const path = `${directories[file.slice(0, file.indexOf("."))]}/${file}`;
      // Not every kernel accounts swap, which a command line for a common host takes for granted.
      if (existsSync(path)) assert.equal(readFileSync(path, "utf8").trim(), value, file);
      else assert.match(file, /swap|memsw/);
    }
  });

  test("joins the network namespace that was asked for", requires("netns"), async () => {
    await using fixture = openSimple();
    const name = `warder-simple-${process.pid}`;
    execFileSync("ip", ["netns", "add", name]);
    try {
      await using jailed = await start(fixture, "netns", { netns: `/run/netns/${name}` });
      assert.equal(readlinkSync(`/proc/${jailed.pid}/ns/net`), `net:[${statSync(`/run/netns/${name}`).ino}]`);
    } finally {
      execFileSync("ip", ["netns", "del", name]);
    }
  });

  test("starts 20 at once, each in a jail of its own, and leaves nothing", async () => {
    await using fixture = openSimple();
    const ids = Array.from({ length: 20 }, (_, index) => `many-${index}`);
    const processes = await Promise.all(ids.map((id) => start(fixture, id)));
    const distinct = (values: readonly unknown[]) => new Set(values).size;
    assert.equal(distinct(processes.map(({ pid }) => pid)), 20);
    assert.equal(distinct(processes.map(({ apiSocket }) => apiSocket)), 20);
    assert.equal(distinct(processes.map((each) => each.inspect().jail.uid)), 20);
    const answers = await Promise.all(processes.map(({ apiSocket }) => callApi(apiSocket, "GET", "/")));
    assert.deepEqual(
      answers.map((answer) => (answer as { id: string }).id),
      ids,
    );
    await Promise.all(processes.map((each) => each.terminate()));
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("of the same id twice, refuses the second and leaves the first alone", async () => {
    await using fixture = openSimple();
    await using first = await start(fixture, "twice");
    await assert.rejects(start(fixture, "twice"), fails("vm-exists", /twice/));
    assert.equal(await first.isRunning(), true);
    assert.equal(((await callApi(first.apiSocket, "GET", "/")) as { id: string }).id, "twice");
  });

  test("says what the jailer said when it fails, and leaves nothing", async () => {
    await using fixture = openSimple();
    const work = start(fixture, "fails", { netns: "/run/netns/nowhere" });
    await assert.rejects(work, fails("jailer-failed", /^Failed to spawn jailer process: .*Failed to open file/s));
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("refuses a Firecracker that is none, with the reason, and leaves nothing", async () => {
    await using fixture = openSimple();
    const script = `${fixture.options.stateDir}.sh`;
    writeFileSync(script, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    await assert.rejects(
      start(fixture, "script", { execFile: script }),
      fails("binary-unfit", /not a 64-bit Linux program/),
    );
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("is given up when its signal fires, and leaves nothing", async () => {
    await using fixture = openSimple();
    for (const delayMs of [0, 20, 40, 60]) {
      const work = startWithJailer(jailerConfig("given-up", fixture.sandbox), {
        ...fixture.options,
        signal: AbortSignal.timeout(delayMs),
      });
      const outcome = await work.then(
        (process) => process.forceKill(),
        (error: unknown) => error,
      );
      assert.ok(
        outcome === undefined || (isWarderError(outcome) && outcome.code === "deadline-exceeded"),
        `${outcome}`,
      );
    }
    assert.deepEqual(await fixture.leftovers(), nothing);
  });
});

describe("JailerProcess", real, () => {
  test("terminate() ends it with SIGTERM, and everything of it is gone", async () => {
    await using fixture = openSimple();
    const process = await start(fixture, "term");
    assert.equal(await process.isRunning(), true);
    await process.terminate();
    assert.equal(await process.isRunning(), false);
    assert.deepEqual([process.inspect().exit?.signal, process.inspect().exit?.cause], ["SIGTERM", "killed"]);
    assert.ok(!existsSync(process.apiSocket));
    assert.deepEqual(await fixture.leftovers(), nothing);
    await process.terminate();
    await process.forceKill();
  });

  test("that takes no notice of SIGTERM is not said to have ended, and forceKill() ends it", async () => {
    await using fixture = openSimple();
    await using vm = await start(fixture, "stubborn");
    await freeze(vm.pid);
    await assert.rejects(vm.terminate({ timeoutMs: 100 }), fails("process-stuck", /outlived every rung/));
    assert.equal(await vm.isRunning(), true);
    await vm.forceKill();
    assert.equal(vm.inspect().exit?.signal, "SIGKILL");
    assert.deepEqual(await fixture.leftovers(), nothing);
  });

  test("that a stranger kills is removed too, and the cause is known", async () => {
    await using fixture = openSimple();
    const vm = await start(fixture, "stranger");
    process.kill(vm.pid, "SIGKILL");
    assert.equal((await vm.wait()).cause, "killed-by-stranger");
    assert.deepEqual(await fixture.leftovers(), nothing);
    assert.equal(await isVmRunning(vm), false);
  });

  test("prove() proves it in full once its guest was started through the API", requires("kvm"), async () => {
    await using fixture = openSimple();
    await using process = await start(fixture, "prove");
    assert.equal((await process.prove()).level, "partial");
    await bootThroughApi(process, 2);
    const report = await process.prove();
    assert.deepEqual(report.gaps, []);
    assert.equal(report.level, "proven");
    assert.equal(process.isolation.level, "proven");
    const found = (name: string) =>
      report.controls.find((control) => control.name === name && control.phase === "running")?.found;
    assert.equal(found("seccomp"), "mode 2");
    assert.match(found("threads") ?? "", /fc_vcpu 0.*fc_vcpu 1/);
    assert.match(found("descriptors") ?? "", /file of the jail/);
  });

  test("prove() asks nothing of a process that has ended", async () => {
    await using fixture = openSimple();
    const process = await start(fixture, "ended");
    await process.forceKill();
    await assert.rejects(process.prove(), fails("wrong-state", /it has ended/));
    assert.equal(process.isolation.level, "partial");
  });
});

describe("without a jailer", real, () => {
  test("outside production Firecracker runs without a sandbox, which is said in every place", async () => {
    await using fixture = openSimple();
    await using process = await startWithJailer(jailerConfig("open", fixture.unjailed), fixture.options);
    assert.deepEqual(fixture.warnings, [
      "Jailer not available, starting without sandboxing (INSECURE for production!)",
    ]);
    assert.equal(process.jailed, false);
    assert.equal(process.isolation.level, "unjailed");
    assert.ok(process.isolation.gaps.some((gap) => gap.startsWith("uid: ")));
    assert.equal(process.apiSocket, "/tmp/firecracker-open.sock");
    assert.equal(((await callApi(process.apiSocket, "GET", "/")) as { state: string }).state, "Not started");
    await process.terminate();
    assert.ok(!existsSync(process.apiSocket));
    assert.ok(!existsSync(fixture.sandbox.chrootBaseDir ?? ""), "no directory of jails was made for it");
  });

  test("an ordinary user can develop: no root, no directory of jails", async (t) => {
    const directory = mkdtempSync("/tmp/warder-simple-user-");
    t.after(() => rmSync(directory, { recursive: true }));
    chmodSync(directory, 0o755);
    const execFile = `${directory}/firecracker`;
    copyFileSync(realBinaries()?.firecracker ?? "", execFile);
    mkdirSync(`${directory}/home`);
    chownSync(`${directory}/home`, NOBODY, NOBODY);
    const program = `
      import { startWithJailer, jailerConfig } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
      const overrides = { execFile: ${JSON.stringify(execFile)}, jailerBinary: "/nowhere/jailer" };
      const vm = await startWithJailer(jailerConfig("user", overrides), { stateDir: "${directory}/home/state" });
      console.log(vm.jailed, vm.isolation.level, await vm.isRunning());
      await vm.terminate();
      console.log(vm.inspect().exit.signal);`;
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", program],
      { uid: NOBODY, gid: NOBODY, encoding: "utf8", cwd: "/", env: { PATH: process.env.PATH } },
    );
    assert.equal(stdout, "false unjailed true\nSIGTERM\n", stderr);
    assert.equal(status, 0);
  });

  test("a socket of somebody else's is left alone", async () => {
    await using fixture = openSimple();
    writeFileSync("/tmp/firecracker-foreign.sock", "");
    try {
      const work = startWithJailer(jailerConfig("foreign", fixture.unjailed), fixture.options);
      await assert.rejects(work, fails("jail-exists", /\/tmp\/firecracker-foreign\.sock/));
      assert.ok(existsSync("/tmp/firecracker-foreign.sock"));
    } finally {
      rmSync("/tmp/firecracker-foreign.sock", { force: true });
    }
  });

  for (const variable of ["NODE_ENV", "WARDER_ENV"]) {
    test(`production (${variable}) refuses, whatever is asked`, async () => {
      await using fixture = openSimple();
      const before = process.env[variable];
      process.env[variable] = "production";
      try {
        const options = { ...fixture.options, isolation: "degrade" } as const;
        const work = startWithJailer(jailerConfig("open", fixture.unjailed), options);
        await assert.rejects(work, fails("unjailed-refused", /Production requires sandboxing!/));
      } finally {
        if (before === undefined) delete process.env[variable];
        else process.env[variable] = before;
      }
      assert.deepEqual(fixture.warnings, []);
      assert.deepEqual(await fixture.leftovers(), nothing);
    });
  }
});
