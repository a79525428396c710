import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { detectCgroups } from "../../src/cgroup/detect.ts";
import { openHost } from "../../src/host/real/host.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import { isWarderError } from "../../src/vm/error.ts";
import type { ErrorCode } from "../../src/vm/error-codes.ts";
import { requires } from "../support/capability.ts";
import { until } from "../support/conformance/until.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

const failsWith = (code: ErrorCode) => (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

const cgroupFile = (vm: Vm, controller: string, file: string) =>
  fs.readFileSync(`${vm.record.cgroup?.directories[controller]}/${file}`, "utf8").trim();

describe("a jailed VM", real, () => {
  test("runs proven, prints, ends by itself and leaves nothing", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    let printed = "";
    const vm = await fixture.warder.run({ kernel: "probe" }, { onConsole: (chunk) => (printed += Buffer.from(chunk)) });
    // Its 25 ms are less than a very slow host needs for the second look; what was read is as asked all the same.
    assert.match(vm.inspect().isolation?.level ?? "", /^(proven|partial)$/);
    const exit = await vm.wait();
    assert.equal(exit.cause, "guest-ended");
    assert.equal(exit.code, 0);
    assert.match(printed, /warder probe: up[\s\S]*warder probe: reset/);
    assert.equal(vm.readConsole(), printed);
    assert.match(vm.readLog(), /Successfully started microvm/);
    assert.equal(vm.state, "exited");
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("has the paths that seed-era operators know", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({
      id: "vm-1645123456789",
      kernel: guest("tick"),
      apiSocket: "/tmp/firecracker.socket",
    });
    const base = fixture.options.chrootBase;
    assert.ok(fs.statSync(`${base}/vm-1645123456789/root/tmp/firecracker.socket`).isSocket());
    const device = (name: string) => fs.statSync(`${base}/vm-1645123456789/root/dev/${name}`).rdev;
    assert.deepEqual(["null", "zero", "urandom"].map(device), [0x103, 0x105, 0x109]);
    assert.ok(fs.existsSync(`${base}/vm-1645123456789/cgroup`));
    assert.equal(fs.realpathSync(`${base}/vm-1645123456789`), `${base}/firecracker/vm-1645123456789`);
    const answer = execFileSync("curl", [
      "-s",
      "--unix-socket",
      `${base}/vm-1645123456789/root/tmp/firecracker.socket`,
      "http://localhost/",
    ]);
    assert.equal(JSON.parse(answer.toString()).id, vm.id);
  });

  test("has a user of its own, that no other VM has", async () => {
    await using fixture = await openFixture();
    const vms = await Promise.all([1, 2, 3].map(() => fixture.warder.run({ kernel: guest("idle") })));
    const uids = vms.map((vm) => vm.record.uid);
    assert.equal(new Set(uids).size, 3);
    for (const vm of vms) {
      const status = fs.readFileSync(`/proc/${vm.inspect().pid}/status`, "utf8");
      assert.match(status, new RegExp(`^Uid:(\\t${vm.record.uid}){4}$`, "m"));
      assert.match(status, /^CapEff:\t0{16}$/m);
    }
  });

  test("is limited as asked", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({
      kernel: guest("idle"),
      memoryMib: 128,
      limits: { memoryBytes: 268_435_456, cpuPercent: 50, pids: 99, openFiles: 1500, fileSizeBytes: 10_000_000 },
    });
    if (vm.record.cgroup?.version === 2) {
      assert.equal(cgroupFile(vm, "memory", "memory.max"), "268435456");
      assert.equal(cgroupFile(vm, "cpu", "cpu.max"), "50000 100000");
    } else {
      assert.equal(cgroupFile(vm, "memory", "memory.limit_in_bytes"), "268435456");
      assert.equal(cgroupFile(vm, "cpu", "cpu.cfs_quota_us"), "50000");
    }
    assert.equal(cgroupFile(vm, "pids", "pids.max"), "99");
    const limits = fs.readFileSync(`/proc/${vm.inspect().pid}/limits`, "utf8");
    assert.match(limits, /^Max open files +1500 +1500/m);
    assert.match(limits, /^Max file size +10000000 +10000000/m);
  });

  test("joins a network namespace and a new pid namespace", async () => {
    await using fixture = await openFixture();
    const name = `warder-test-${process.pid}`;
    execFileSync("ip", ["netns", "add", name]);
    try {
      const vm = await fixture.warder.run({
        kernel: guest("tick"),
        netns: `/run/netns/${name}`,
        newPidNamespace: true,
      });
      const pid = vm.inspect().pid;
      assert.equal(vm.inspect().isolation?.level, "proven");
      assert.equal(fs.statSync(`/proc/${pid}/ns/net`).ino, fs.statSync(`/run/netns/${name}`).ino);
      assert.match(fs.readFileSync(`/proc/${pid}/status`, "utf8"), /^NSpid:\t\d+\t1$/m);
      const outcome = await vm.stop({
        ladder: [
          { method: "sigterm", timeoutMs: 5_000 },
          { method: "sigkill", timeoutMs: 5_000 },
        ],
      });
      assert.equal(outcome.endedBy, "sigkill");
      assert.equal(outcome.rungs.find(({ method }) => method === "sigterm")?.result, "skipped");
      assert.equal(vm.inspect().exit?.cause, "killed");
    } finally {
      execFileSync("ip", ["netns", "del", name]);
    }
  });

  test("that never becomes Firecracker in its new pid namespace fails at once, in the jailer's words", () => {
    const directory = fs.mkdtempSync("/var/tmp/warder-test-");
    const life = new URL("../support/life-of-a-vm.ts", import.meta.url).pathname;
    const node = [process.execPath, "--disable-warning=ExperimentalWarning"];
    try {
      const args = ["--bounding-set=-setuid", ...node, life, directory];
      const { status, stdout } = spawnSync("setpriv", args, { encoding: "utf8", timeout: 60_000 });
      assert.equal(status, 1, stdout);
      assert.match(stdout, /it ended before it was Firecracker: .*Operation not permitted/s);
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });

  test("is stopped by the first rung that works, and that is recorded", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("tick") });
    const outcome = await vm.stop({
      ladder: [
        { method: "ctrl-alt-del", timeoutMs: 50 },
        { method: "sigterm", timeoutMs: 5_000 },
        { method: "sigkill", timeoutMs: 5_000 },
      ],
    });
    assert.equal(outcome.endedBy, "sigterm");
    assert.deepEqual(
      outcome.rungs.map(({ result }) => result),
      ["timed-out", "ended"],
    );
    assert.deepEqual(vm.inspect().exit?.evidence, ["ended by a manager with sigterm"]);
    assert.deepEqual(await vm.stop(), { endedBy: undefined, rungs: [] });
  });

  test("stands still while it is paused, and goes on", async () => {
    await using fixture = await openFixture();
    let bytes = 0;
    const vm = await fixture.warder.run({ kernel: guest("tick") }, { onConsole: (chunk) => (bytes += chunk.length) });
    await vm.pause();
    await vm.pause();
    assert.equal(vm.state, "paused");
    const api = JSON.parse(
      execFileSync("curl", ["-s", "--unix-socket", vm.inspect().jail.socket, "http://localhost/"]).toString(),
    );
    assert.equal(api.state, "Paused");
    await vm.resume();
    const now = bytes;
    await until("it prints again", () => bytes > now);
    assert.equal(vm.state, "running");
    await vm.kill();
    await assert.rejects(vm.pause(), failsWith("wrong-state"));
  });

  test("that a stranger kills is removed, and the cause is known", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vm = await fixture.warder.run({ kernel: guest("tick") });
    process.kill(vm.inspect().pid ?? 0, "SIGKILL");
    assert.equal((await vm.wait()).cause, "killed-by-stranger");
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("keeps its console within its bound, and the newest output", async () => {
    await using fixture = await openFixture({ consoleLimitBytes: 8192 });
    let bytes = 0;
    const vm = await fixture.warder.run({ kernel: guest("flood") }, { onConsole: (chunk) => (bytes += chunk.length) });
    await until("it has printed more than is kept", () => bytes > 20_000);
    await vm.kill();
    const kept = vm.readConsole();
    assert.ok(kept.length > 4096 && kept.length <= 8192, String(kept.length));
  });

  test("20 at once all start, each proven, and leave nothing", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vms = await Promise.all(Array.from({ length: 20 }, () => fixture.warder.run({ kernel: guest("idle") })));
    assert.deepEqual([...new Set(vms.map((vm) => vm.inspect().isolation?.level))], ["proven"]);
    assert.equal(new Set(vms.map((vm) => vm.id)).size, 20);
    await Promise.all(vms.map((vm) => vm.kill()));
    assert.deepEqual(fixture.snapshot(), before);
  });
});

describe("a second manager", real, () => {
  test("sees, pauses and stops the first one's VM", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run({ kernel: guest("tick") });
    const other = await fixture.reopen();
    const seen = other.get(vm.id);
    assert.equal(seen.inspect().pid, vm.inspect().pid);
    await seen.pause();
    assert.equal(vm.state, "paused");
    await seen.resume();
    await seen.stop({ ladder: [{ method: "sigkill", timeoutMs: 5_000 }] });
    assert.equal((await vm.wait()).cause, "killed");
    await seen.remove();
    assert.throws(() => vm.inspect(), failsWith("vm-not-found"));
  });

  test("takes over a VM whose manager let go, console and all", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const first = await fixture.reopen();
    const { id } = await first.run({ kernel: guest("tick") });
    await first[Symbol.asyncDispose]();
    const vm = fixture.warder.get(id);
    assert.equal(vm.state, "running");
    await vm.kill();
    assert.equal(vm.inspect().exit?.cause, "killed");
    assert.deepEqual(fixture.snapshot(), before);
  });
});

describe("what is wrong is said before anything is made", real, () => {
  const refused = async (input: object, code: ErrorCode, text: RegExp) => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    await assert.rejects(fixture.warder.run({ kernel: guest("tick"), ...input }), (error) => {
      failsWith(code)(error);
      assert.match((error as Error).message, text);
      return true;
    });
    assert.deepEqual(fixture.snapshot(), before);
    assert.deepEqual(fixture.warder.list({ all: true }), []);
  };

  test("all wrong fields at once", () =>
    refused(
      { id: "a_b", vcpus: 33, memoryMib: 127, uid: 0, drives: [{ path: "x" }] },
      "invalid-argument",
      /id:[\s\S]*vcpus:[\s\S]*memoryMib:[\s\S]*drives\[0\]\.path:[\s\S]*uid:/,
    ));
  for (const id of ["", "a".repeat(65), "../x", "é", "a_b"]) {
    test(`the id ${JSON.stringify(id)}`, () => refused({ id }, "invalid-argument", /id: /));
  }
  test("the name of Firecracker's file as an id", () =>
    refused({ id: "firecracker" }, "invalid-argument", /must not be firecracker/));
  test("a kernel that is not there", () => refused({ kernel: "/nowhere/vmlinux" }, "asset-missing", /is not there/));
  test("a kernel that is no ELF file", () => refused({ kernel: "/etc/passwd" }, "asset-unfit", /no ELF/));
  test("a rootfs that is a directory", () =>
    refused({ drives: [{ path: "/tmp", root: true }] }, "asset-unfit", /is a directory/));
  test("a network namespace that is not there", () =>
    refused({ netns: "/run/netns/nowhere" }, "jailer-failed", /Failed to open file/));
  test("running without the jailer", () =>
    refused({ jailed: false }, "unjailed-refused", /Production requires sandboxing/));
  test("a cgroup version that the host does not have", async () => {
    const { v2 } = detectCgroups(openHost());
    const missing = v2?.controllers.includes("memory") === true ? 1 : 2;
    await using fixture = await openFixture({ cgroupVersion: missing });
    await assert.rejects(fixture.warder.run({ kernel: guest("tick") }), failsWith("cgroup-unavailable"));
  });

  test("an id whose VM runs", async () => {
    await using fixture = await openFixture();
    await fixture.warder.run({ id: "twice", kernel: guest("idle") });
    const before = fixture.snapshot();
    await assert.rejects(fixture.warder.run({ id: "twice", kernel: guest("idle") }), failsWith("vm-exists"));
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("an id whose VM has ended can be used again", async () => {
    await using fixture = await openFixture();
    await (await fixture.warder.run({ id: "again", kernel: guest("idle") })).kill();
    const vm = await fixture.warder.run({ id: "again", kernel: guest("idle") });
    assert.equal(vm.state, "running");
  });

  test("a jail directory that is somebody else's is left alone", async () => {
    await using fixture = await openFixture();
    const foreign = `${fixture.options.chrootBase}/firecracker/foreign/root`;
    fs.mkdirSync(foreign, { recursive: true });
    await assert.rejects(fixture.warder.run({ id: "foreign", kernel: guest("idle") }), failsWith("jail-exists"));
    assert.ok(fs.existsSync(foreign));
  });

  test("a kernel that Firecracker can not load", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const kernel = `${fixture.options.stateDir}/broken.elf`;
    fs.writeFileSync(kernel, Buffer.concat([fs.readFileSync(guest("hello")).subarray(0, 24), Buffer.alloc(500, 0xff)]));
    await assert.rejects(fixture.warder.run({ kernel }), failsWith("firecracker-failed"));
    assert.deepEqual(fixture.snapshot(), before);
  });
});

describe("the user's own files", real, () => {
  test("keep owner, mode, links and bytes; what the VM may write is a copy", async () => {
    await using fixture = await openFixture();
    const directory = fixture.options.stateDir;
    const kernel = `${directory}/kernel`;
    const disk = `${directory}/disk`;
    fs.copyFileSync(guest("idle"), kernel);
    fs.chmodSync(kernel, 0o644);
    fs.writeFileSync(disk, Buffer.alloc(65_536, 7), { mode: 0o600 });
    const facts = () =>
      [kernel, disk].map((path) =>
        (({ mode, uid, gid, ino, nlink, size }) => ({ mode, uid, gid, ino, nlink, size }))(fs.statSync(path)),
      );
    const before = facts();
    const vm = await fixture.warder.run({ kernel, drives: [{ id: "data", path: disk }] });
    const root = vm.inspect().jail.root;
    assert.equal(fs.statSync(`${root}/kernel`).ino, before[0]?.ino);
    assert.notEqual(fs.statSync(`${root}/drive-data`).ino, before[1]?.ino);
    assert.equal(fs.statSync(`${root}/drive-data`).uid, vm.record.uid);
    await vm.kill();
    assert.deepEqual(facts(), before);
    assert.deepEqual(fs.readFileSync(disk), Buffer.alloc(65_536, 7));
  });
});

describe("without the jailer", real, () => {
  test("a VM runs under the policy degrade, and says so", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const socket = `${fixture.options.stateDir}/fc-{id}.sock`;
    const vm = await fixture.warder.run({
      id: "open",
      kernel: guest("tick"),
      jailed: false,
      policy: "degrade",
      apiSocket: socket,
    });
    const { isolation, jailed, jail } = vm.inspect();
    assert.equal(jailed, false);
    assert.equal(isolation?.level, "unjailed");
    assert.deepEqual(fixture.warnings, [
      "Jailer not available, starting without sandboxing (INSECURE for production!)",
    ]);
    assert.ok((isolation?.gaps.length ?? 0) > 5, isolation?.gaps.join("\n"));
    assert.equal(jail.socket, `${fixture.options.stateDir}/fc-open.sock`);
    await vm.stop({
      ladder: [
        { method: "sigterm", timeoutMs: 2_000 },
        { method: "sigkill", timeoutMs: 2_000 },
      ],
    });
    assert.ok(!fs.existsSync(jail.socket));
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("production refuses whatever is asked", async () => {
    await using fixture = await openFixture({ production: true });
    await assert.rejects(
      fixture.warder.run({ kernel: guest("tick"), jailed: false, policy: "degrade" }),
      failsWith("unjailed-refused"),
    );
  });
});

describe("a manager that is gone", real, () => {
  test("is not missed: whoever waits for its VM takes it over, and sees its end", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const first = await fixture.reopen();
    const { id } = await first.run({ kernel: guest("tick") });
    await first[Symbol.asyncDispose]();
    const vm = fixture.warder.get(id);
    const ended = vm.wait();
    process.kill(vm.inspect().pid ?? 0, "SIGKILL");
    const exit = await ended;
    assert.deepEqual([exit.cause, exit.signal], ["killed-by-stranger", "SIGKILL"]);
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("leaves a VM whose end nobody saw: the next manager concludes it and removes the rest", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const first = await fixture.reopen();
    const vm = await first.run({ kernel: guest("tick") });
    const { process: identity } = vm.record;
    assert.ok(identity !== undefined);
    await first[Symbol.asyncDispose]();
    process.kill(identity.pid, "SIGKILL");
    await until("it is dead", () => !fixture.warder.machinery.host.processes.isAlive(identity));
    await fixture.reopen();
    assert.equal(fixture.warder.get(vm.id).state, "exited");
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("in the middle of a start leaves nothing once the next one is there", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const child = spawn(process.execPath, ["--input-type=module", "-e", startAndStall], {
      env: {
        ...process.env,
        STALL: JSON.stringify({ options: { ...fixture.options, reporter: undefined }, kernel: guest("tick") }),
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    assert.notDeepEqual(fixture.snapshot(), before);
    child.kill("SIGKILL");
    await once(child, "exit");
    await fixture.reopen();
    assert.deepEqual(fixture.snapshot(), before);
    assert.deepEqual(
      fixture.warder.list({ all: true }).map((vm) => vm.inspect().exit?.cause),
      ["start-failed"],
    );
  });
});

/** A manager that stands still while Firecracker waits for its configuration. */
const startAndStall = `
import { Warder } from "${new URL("../../src/lifecycle/warder.ts", import.meta.url).href}";
const { options, kernel } = JSON.parse(process.env.STALL);
const warder = await Warder.open(options);
const onStep = ({ step }) => {
  if (step !== "prove-jail") return;
  process.stdout.write("held");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
await warder.run({ kernel }, { onStep });
`;
