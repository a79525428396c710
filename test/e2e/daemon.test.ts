import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { WarderClient } from "../../src/client/warder-client.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { afterwards } from "../support/afterwards.ts";
import { requires } from "../support/capability.ts";
import { until } from "../support/conformance/until.ts";
import { DaemonProcess } from "../support/rpc/daemon-process.ts";
import { makeBed, type WarderBed } from "../support/warder-fixture.ts";

const idle = new URL("../../guests/idle.elf", import.meta.url).pathname;
const needed = requires("root", "kvm", "real-binaries");
const service = "vmprovisioner.v1.VmService";

/** How a daemon jails, and how it does not. */
const modes = {
  jailed: {},
  unjailed: { WARDER_JAIL_ENABLED: "false" },
} as const;

function lay(context: TestContext): WarderBed & { readonly directory: string } {
  const bed = afterwards(context).use(makeBed());
  const directory = fs.mkdtempSync("/var/tmp/warder-daemon-");
  afterwards(context).defer(() => fs.rmSync(directory, { recursive: true, force: true }));
  return { ...bed, directory };
}

async function start(context: TestContext, bed: WarderBed, settings: Readonly<Record<string, string>> = {}) {
  return afterwards(context).use(await DaemonProcess.start(bed, settings));
}

/** What the tests look at of answers. */
interface Answer {
  readonly vmId?: string;
  readonly state?: string;
  readonly totalCount?: number;
  readonly backendInfo?: Readonly<Record<string, string>>;
  readonly metrics?: Readonly<Record<string, unknown>>;
}

async function ask(daemon: DaemonProcess, call: string, request: object) {
  const response = await fetch(`${daemon.url}/${service}/${call}`, {
    method: "POST",
    signal: AbortSignal.timeout(60_000),
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}

/** A VM's config in metald's words, with a kernel that stands still and a disk. */
function configOf(directory: string) {
  const disk = `${directory}/disk.img`;
  fs.writeFileSync(disk, Buffer.alloc(1024 * 1024));
  return {
    cpu: { vcpu_count: 1 },
    memory: { size_bytes: 134_217_728 },
    boot: { kernel_path: idle },
    storage: [{ path: disk, is_root_device: true }],
    metadata: { purpose: "contract" },
  };
}

for (const [mode, settings] of Object.entries(modes)) {
  describe(`metald's calls, ${mode}`, needed, () => {
    test("do what they say, one after another", async (context) => {
      const bed = lay(context);
      const daemon = await start(context, bed, { WARDER_SOCKET_DIR: `${bed.directory}/sockets`, ...settings });
      const config = configOf(bed.directory);
      const created = await ask(daemon, "CreateVm", { config });
      assert.equal(created.status, 200, JSON.stringify(created.body));
      const vmId = created.body.vmId ?? assert.fail("no id");
      const states: unknown[] = [created.body.state];
      for (const call of ["BootVm", "PauseVm", "ResumeVm", "RebootVm"]) {
        const { status, body } = await ask(daemon, call, { vm_id: vmId });
        assert.equal(status, 200, `${call}: ${JSON.stringify(body)}`);
        states.push(body.state);
      }
      const { backendInfo, metrics } = (await ask(daemon, "GetVmInfo", { vm_id: vmId })).body;
      assert.equal(backendInfo?.use_jailer, String(mode === "jailed"));
      assert.equal(backendInfo?.isolation, mode === "jailed" ? "proven" : "unjailed");
      const socket = backendInfo?.socket_path ?? "";
      assert.ok(fs.statSync(socket).isSocket());
      if (mode === "jailed") assert.match(socket, /\/root\/tmp\/firecracker\.socket$/);
      else assert.equal(socket, `${bed.directory}/sockets/fc-${vmId}.sock`);
      assert.ok(Number(metrics?.memoryUsageBytes) > 0);
      assert.equal((await ask(daemon, "ListVms", {})).body.totalCount, 1);
      states.push((await ask(daemon, "ShutdownVm", { vm_id: vmId, force: true })).body.state);
      assert.deepEqual(
        states.map((state) => String(state).replace("VM_STATE_", "")),
        ["CREATED", "RUNNING", "PAUSED", "RUNNING", "RUNNING", "SHUTDOWN"],
      );
      assert.equal(fs.existsSync(socket), false);
      assert.equal((await ask(daemon, "DeleteVm", { vm_id: vmId })).status, 200);
      assert.equal((await ask(daemon, "GetVmInfo", { vm_id: vmId })).status, 404);
    });

    test("keep several VMs apart", async (context) => {
      const bed = lay(context);
      const daemon = await start(context, bed, { WARDER_SOCKET_DIR: `${bed.directory}/sockets`, ...settings });
      const config = configOf(bed.directory);
      const made = await Promise.all(["a", "b", "c"].map((vm_id) => ask(daemon, "CreateVm", { vm_id, config })));
      assert.ok(made.every(({ status }) => status === 200));
      await Promise.all(["a", "b", "c"].map((vm_id) => ask(daemon, "BootVm", { vm_id })));
      const infos = await Promise.all(["a", "b", "c"].map((vm_id) => ask(daemon, "GetVmInfo", { vm_id })));
      const of = (name: string) => infos.map(({ body }) => body.backendInfo?.[name]);
      assert.deepEqual(of("state"), ["running", "running", "running"]);
      for (const name of mode === "jailed" ? ["socket_path", "pid", "uid", "chroot_path"] : ["socket_path", "pid"]) {
        assert.equal(new Set(of(name)).size, 3, name);
      }
    });

    test("say what is wrong, and leave nothing", async (context) => {
      const bed = lay(context);
      const daemon = await start(context, bed, settings);
      const config = { ...configOf(bed.directory), boot: { kernel_path: "/nonexistent" } };
      const { status, body } = await ask(daemon, "CreateVm", { config });
      assert.equal(status, 400);
      assert.match(JSON.stringify(body), /asset-missing/);
      assert.deepEqual((await ask(daemon, "ListVms", {})).body, {});
    });
  });
}

describe("a daemon's life", needed, () => {
  test("VMs outlive it, ended in order or killed, and the next one takes them over", async (context) => {
    const bed = lay(context);
    for (const [end, status] of [
      ["SIGTERM", 0],
      ["SIGKILL", null],
    ] as const) {
      const first = await start(context, bed);
      const vm_id = `vm-${end.toLowerCase()}`;
      await ask(first, "CreateVm", { vm_id, config: configOf(bed.directory) });
      await ask(first, "BootVm", { vm_id });
      const pidOf = async (daemon: DaemonProcess) => (await ask(daemon, "GetVmInfo", { vm_id })).body.backendInfo?.pid;
      const pid = await pidOf(first);
      assert.equal(await first.end(end), status);
      const second = await start(context, bed);
      assert.equal(await pidOf(second), pid);
      assert.equal((await ask(second, "PauseVm", { vm_id })).status, 200);
      assert.equal((await ask(second, "ShutdownVm", { vm_id, force: true })).status, 200);
      assert.equal(await second.end(), 0);
    }
  });

  test("VMs end with it where it is configured so", async (context) => {
    const bed = lay(context);
    const daemon = await start(context, bed, { WARDER_SHUTDOWN_VMS: "stop" });
    const config = configOf(bed.directory);
    await ask(daemon, "CreateVm", { vm_id: "a", config });
    await ask(daemon, "BootVm", { vm_id: "a" });
    assert.equal(await daemon.end(), 0);
    const next = await start(context, bed);
    assert.equal((await ask(next, "GetVmInfo", { vm_id: "a" })).body.state, "VM_STATE_SHUTDOWN");
  });

  test("streams are ended at once, with the word to come again, and what is under way gets its answer", async (context) => {
    const bed = lay(context);
    const daemon = await start(context, bed);
    using client = WarderClient.connect({ socket: daemon.socket });
    const watching = (async () => {
      for await (const _change of client.watch({ since: 0 }));
    })();
    const vm = await client.create({ kernel: "probe" });
    const ended = daemon.end();
    await assert.rejects(watching, (error) => isWarderError(error) && error.code === "draining");
    assert.equal(await ended, 0);
    assert.match(vm.id, /^vm-/);
    assert.equal(fs.existsSync(daemon.socket), false);
  });

  test("settings are read again, and wrong ones change nothing", async (context) => {
    const bed = lay(context);
    const file = `${bed.directory}/warder.toml`;
    fs.writeFileSync(file, "[admission]\nmax_vms = 1\n", { mode: 0o600 });
    const daemon = await start(context, bed, { WARDER_CONFIG: file });
    using client = WarderClient.connect({ socket: daemon.socket });
    await client.create({ kernel: "probe" });
    await assert.rejects(client.create({ kernel: "probe" }), { code: "no-room" });
    fs.writeFileSync(file, "[admission]\nmax_vms = -1\n");
    daemon.signal("SIGHUP");
    await until("the refusal", () => daemon.log.includes("settings were not changed"));
    await assert.rejects(client.create({ kernel: "probe" }), { code: "no-room" });
    fs.writeFileSync(file, "[admission]\nmax_vms = 2\n");
    daemon.signal("SIGHUP");
    await until("the change", () => daemon.log.includes("settings were read again"));
    await client.create({ kernel: "probe" });
  });

  test("a second one on the same state is refused, and the first goes on", async (context) => {
    const bed = lay(context);
    const first = await start(context, bed);
    await assert.rejects(start(context, bed), /state-locked/);
    assert.equal((await ask(first, "ListVms", {})).status, 200);
  });
});

describe("the Unix socket", needed, () => {
  test("is for root alone where there is no group for it, and lets the typed client do everything", async (context) => {
    const bed = lay(context);
    const daemon = await start(context, bed, {
      WARDER_SERVER_SOCKET_GROUP: "no-such-group",
      WARDER_SERVER_TCP: "false",
    });
    assert.equal(fs.statSync(daemon.socket).mode & 0o777, 0o600);
    using client = WarderClient.connect({ socket: daemon.socket });
    const vm = await client.run({ kernel: idle });
    assert.equal((await vm.inspect()).isolation?.level, "proven");
    assert.equal((await vm.prove()).level, "proven");
    assert.equal((await vm.kill()).endedBy, "sigkill");
    assert.equal((await vm.wait()).cause, "killed");
    await vm.remove();
  });

  test("is its group's, and a local user at the port is known by the kernel's word", async (context) => {
    const bed = lay(context);
    const daemon = await start(context, bed, { WARDER_SERVER_SOCKET_GROUP: "daemon" });
    const { mode, gid } = fs.statSync(daemon.socket);
    const [, , group] = execFileSync("getent", ["group", "daemon"], { encoding: "utf8" }).split(":");
    assert.deepEqual([mode & 0o777, gid], [0o660, Number(group)]);
    assert.equal((await ask(daemon, "ListVms", {})).status, 200);
    const url = `${daemon.url}/${service}/ListVms`;
    const curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", url, "-d", "{}"];
    const asNobody = execFileSync("setpriv", ["--reuid=65534", "--clear-groups", ...curl], { encoding: "utf8" });
    assert.equal(asNobody, "401");
  });
});
