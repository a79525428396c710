import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import type { InstanceInfo } from "../../src/firecracker/answers.ts";
import { type FirecrackerArguments, firecrackerArgs } from "../../src/firecracker/arguments.ts";
import { snapshotFormatOf } from "../../src/firecracker/bugs.ts";
import { FirecrackerClient } from "../../src/firecracker/client.ts";
import { configDocument } from "../../src/firecracker/config-document.ts";
import { type LogEvent, parseLogLine, recogniseMessage } from "../../src/firecracker/log-line.ts";
import { waitUntilReady } from "../../src/firecracker/ready.ts";
import {
  parseVersion,
  parseVersionOutput,
  type ReleaseVersion,
  requireSupported,
} from "../../src/firecracker/version.ts";
import { openHost } from "../../src/host/real/host.ts";
import { isWarderError, type WarderError } from "../../src/vm/error.ts";
import { type HostPath, toHostPath } from "../../src/vm/path.ts";
import type { ProcessExit } from "../../src/vm/process.ts";
import { parseVmSpec } from "../../src/vm/spec.ts";
import { requires } from "../support/capability.ts";
import { realBinaries } from "../support/capability-probes.ts";

const firecracker = realBinaries()?.firecracker ?? "";
const host = openHost();

async function failure(promise: Promise<unknown>): Promise<WarderError> {
  try {
    await promise;
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it did not fail");
}

describe("the real Firecracker", requires("kvm", "real-binaries"), () => {
  let version: ReleaseVersion;
  let directory: string;
  let running: { child: ChildProcess; client: FirecrackerClient; exited: Promise<ProcessExit> }[];

  before(() => {
    version = parseVersionOutput("Firecracker", spawnSync(firecracker, ["--version"], { encoding: "utf8" }).stdout);
  });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "warder-fc-"));
    running = [];
  });

  afterEach(async () => {
    for (const { child, client, exited } of running) {
      client.close();
      child.kill("SIGKILL");
      await exited;
    }
    rmSync(directory, { recursive: true, force: true });
  });

  const at = (name: string): HostPath => toHostPath(join(directory, name));
  const log = () => readFileSync(at("log"), "utf8");
  const guest = (name: string) => toHostPath(guestFile(name));

  /** Starts Firecracker without a jail. What it needs before 1.14 is made first. */
  function start(id: string, wanted: Partial<FirecrackerArguments> = {}) {
    writeFileSync(at("log"), "");
    const socket = at(`${id}.socket`);
    const args = ["--id", id, ...firecrackerArgs({ apiSocket: socket, logPath: at("log"), ...wanted })];
    const child = spawn(firecracker, args, { stdio: "ignore", cwd: directory, env: {} });
    const exited = once(child, "exit").then(([code, signal]) => ({ code, signal }) as ProcessExit);
    const vm = { child, exited, client: new FirecrackerClient(host, { socket, version }) };
    running.push(vm);
    return vm;
  }

  /** A Firecracker that waits for its configuration over the API. */
  async function startIdle(id = "e2e-1") {
    const vm = start(id);
    await waitUntilReady(vm.client, id, "Not started", { clock: host.clock, exited: vm.exited });
    return vm;
  }

  /** One that boots a guest by its configuration file. */
  function startGuest(kernel: HostPath, id = "e2e-1", wanted: Partial<FirecrackerArguments> = {}) {
    const spec = parseVmSpec({ kernel: "probe" });
    writeFileSync(at("config.json"), JSON.stringify(configDocument(spec, { kernel, drives: {} })));
    return start(id, { configFile: at("config.json"), ...wanted });
  }

  const events = () =>
    log()
      .split("\n")
      .flatMap((line): LogEvent[] => {
        const event = recogniseMessage(parseLogLine(line)?.message ?? "");
        return event === undefined ? [] : [event];
      });

  it("is of a release that is supported, and writes snapshots of the format that the table says", () => {
    requireSupported(version);
    const { stdout } = spawnSync(firecracker, ["--snapshot-version"], { encoding: "utf8" });
    assert.match(stdout, new RegExp(`^v${snapshotFormatOf(version)}\\.`));
  });

  it("says who it is, at once", async () => {
    const { client } = await startIdle();
    const info: InstanceInfo = await client.instanceInfo();
    assert.deepEqual(info, { id: "e2e-1", state: "Not started", vmm_version: version.text, app_name: "Firecracker" });
    assert.equal(await client.firecrackerVersion(), version.text);
  });

  it("takes every device before the start, and shows them", async () => {
    const { client } = await startIdle();
    writeFileSync(at("disk"), Buffer.alloc(1 << 20));
    const limiter = {
      bandwidth: { size: 1_000_000, refill_time: 100 },
      ops: { size: 100, refill_time: 1000, one_time_burst: 5 },
    };
    await client.putBootSource({ kernel_image_path: guest("tick"), boot_args: "console=ttyS0" });
    await client.putMachineConfig({ vcpu_count: 1, mem_size_mib: 128 });
    await client.patchMachineConfig({ track_dirty_pages: true });
    await client.putCpuConfig({});
    await client.putDrive({
      drive_id: "data_1",
      path_on_host: at("disk"),
      is_root_device: false,
      is_read_only: false,
      rate_limiter: limiter,
    });
    await client.putVsock({ guest_cid: 3, uds_path: at("v.sock") });
    await client.putEntropy({ rate_limiter: limiter });
    await client.balloon.put({ amount_mib: 0, deflate_on_oom: true, stats_polling_interval_s: 1 });
    await client.putLogger({ level: "Debug", show_level: true });
    writeFileSync(at("metrics"), "");
    await client.putMetrics({ metrics_path: at("metrics") });
    assert.deepEqual(await client.machineConfig(), {
      vcpu_count: 1,
      mem_size_mib: 128,
      smt: false,
      track_dirty_pages: true,
      huge_pages: "None",
    });
    const config = await client.vmConfig();
    assert.equal(config["boot-source"].boot_args, "console=ttyS0");
    assert.deepEqual(
      config.drives.map(({ drive_id }) => drive_id),
      ["data_1"],
    );
    assert.equal((await client.balloon.get()).stats_polling_interval_s, 1);
    await client.start();
    assert.equal((await client.instanceInfo()).state, "Running");
  });

  it("keeps metadata for a VM with a network interface", requires("root", "tap"), async () => {
    const { client } = await startIdle();
    // Firecracker makes the TAP itself where it may, and it goes with the process.
    await client.putNetworkInterface({
      iface_id: "eth0",
      host_dev_name: `wt${process.pid % 100_000}`,
      guest_mac: "06:00:00:00:00:01",
    });
    await client.putMmdsConfig({ network_interfaces: ["eth0"], version: "V2", ipv4_address: "169.254.169.254" });
    await client.putMmds({ a: { b: 1, c: 2 } });
    await client.patchMmds({ a: { b: null, d: "é" } });
    assert.deepEqual(await client.mmds(), { a: { c: 2, d: "é" } });
    await client.putBootSource({ kernel_image_path: guest("tick") });
    await client.start();
    await client.patchNetworkInterface({ iface_id: "eth0", rx_rate_limiter: { ops: { size: 10, refill_time: 100 } } });
  });

  it("pauses, resumes, flushes and changes a running VM, as often as it is told", async () => {
    const { client, exited } = startGuest(guest("tick"));
    await waitUntilReady(client, "e2e-1", "Running", { clock: host.clock, exited });
    await client.pause();
    await client.pause();
    assert.equal((await client.instanceInfo()).state, "Paused");
    await client.resume();
    await client.resume();
    assert.equal((await client.instanceInfo()).state, "Running");
    await client.sendCtrlAltDel();
    await client.flushMetrics();
  });

  it("changes disks and balloon of a running VM, as far as the guest plays along", async () => {
    const { client } = await startIdle();
    writeFileSync(at("disk"), Buffer.alloc(1 << 20));
    await client.putBootSource({ kernel_image_path: guest("tick") });
    await client.putDrive({ drive_id: "d", path_on_host: at("disk"), is_root_device: false, is_read_only: false });
    await client.balloon.put({ amount_mib: 0, deflate_on_oom: true, stats_polling_interval_s: 1 });
    await client.start();
    writeFileSync(at("disk"), Buffer.alloc(2 << 20));
    await client.patchDrive({ drive_id: "d", path_on_host: at("disk") });
    await client.patchDrive({ drive_id: "d", rate_limiter: { ops: { size: 10, refill_time: 100 } } });
    await client.balloon.setPollingInterval(2);
    assert.deepEqual((await client.balloon.statistics()).actual_mib, 0);
    const error = await failure(client.balloon.resize(10));
    assert.equal(error.code, "api-fault");
    assert.match(error.why, /not activated/i);
  });

  it("writes a snapshot that another process runs on from", async () => {
    const { client, exited } = startGuest(guest("tick"));
    await waitUntilReady(client, "e2e-1", "Running", { clock: host.clock, exited });
    const files = { snapshot_path: at("state"), mem_file_path: at("memory") };
    assert.match((await failure(client.createSnapshot(files))).message, /unavailable while running/);
    await client.pause();
    await client.createSnapshot(files);
    const clone = await startIdle("e2e-2");
    const mem_backend = { backend_type: "File", backend_path: files.mem_file_path } as const;
    await clone.client.loadSnapshot({ snapshot_path: files.snapshot_path, mem_backend, resume_vm: true });
    await waitUntilReady(clone.client, "e2e-2", "Running", { clock: host.clock, exited: clone.exited });
  });

  it("ends when a snapshot can not be loaded", async () => {
    const { client, exited } = await startIdle();
    const mem_backend = { backend_type: "File", backend_path: at("none") } as const;
    const error = await failure(client.loadSnapshot({ snapshot_path: at("none"), mem_backend }));
    assert.ok(["api-fault", "api-unreachable"].includes(error.code), error.code);
    assert.deepEqual(await exited, { code: 1, signal: null });
    assert.equal((await failure(client.instanceInfo())).code, "api-unreachable");
  });

  it("refuses in its own words, and takes the next request on the same connection", async () => {
    const { client } = await startIdle();
    const cases: [RegExp, Promise<unknown>][] = [
      [/kernel file cannot be opened/, client.putBootSource({ kernel_image_path: at("none") })],
      [/not supported before starting/, client.pause()],
      [/not supported before starting/, client.flushMetrics()],
      [/Invalid vcpu|vCPU|vcpu/i, client.putMachineConfig({ vcpu_count: 33, mem_size_mib: 128 })],
      [
        /Unable to open|No such file|cannot be opened/i,
        client.putDrive({ drive_id: "d", path_on_host: at("none"), is_root_device: false, is_read_only: true }),
      ],
    ];
    for (const [pattern, call] of cases) {
      const error = await failure(call);
      assert.equal(error.code, "api-fault");
      assert.match(error.why, pattern);
    }
    assert.equal((await client.instanceInfo()).state, "Not started");
  });

  it("answers a breach of protocol in a shape of its own, after which another connection is opened", async () => {
    const { child } = await startIdle();
    const socket = at("e2e-1.socket");
    // A client that knows better than this release: DELETE came with 1.16.
    const eager = new FirecrackerClient(host, { socket, version: parseVersion("1.16.1") ?? version });
    const refused = await failure(eager.unplug("drive", "a"));
    assert.equal(refused.code, version.minor < 16 ? "api-protocol" : "api-fault");
    assert.equal((await eager.instanceInfo()).id, "e2e-1");
    eager.close();
    assert.equal(child.exitCode, null);
  });

  it("answers a body that is too large in a shape of its own", async () => {
    await startIdle();
    // A client that believes in another limit than Firecracker has. What becomes of Firecracker is not looked at: 1.12.1
    // goes on to answer the rest of the body, and now and then dies of SIGSYS as its seccomp filter meets the SIGPIPE.
    const careless = new FirecrackerClient(host, { socket: at("e2e-1.socket"), version, bodyLimitBytes: 1 << 20 });
    const error = await failure(careless.putMmds({ text: "a".repeat(60_000) }));
    assert.equal(error.code, "api-protocol");
    assert.match(error.why, /larger than the limit of 51200/);
    careless.close();
  });

  it("would refuse what this release does not have, which the client says by name instead", async (context) => {
    if (version.minor >= 16) return context.skip("this release has it all");
    const { client } = await startIdle();
    const eager = new FirecrackerClient(host, {
      socket: at("e2e-1.socket"),
      version: parseVersion("1.16.1") ?? version,
    });
    const calls = (each: FirecrackerClient) => [
      () => each.putNetworkInterface({ iface_id: "eth0", host_dev_name: "none", mtu: 1400 }),
      ...(version.minor >= 14
        ? []
        : [
            () => each.putSerial({ serial_out_path: at("serial") }),
            () => each.putPmem({ id: "p", path_on_host: at("disk") }),
            () => each.hotplugMemory.put({ total_size_mib: 1024 }),
            () => each.balloon.put({ amount_mib: 0, deflate_on_oom: true, free_page_reporting: true }),
            () => each.balloon.startHinting(true),
          ]),
      ...(version.minor >= 13 ? [] : [() => each.putMmdsConfig({ network_interfaces: ["eth0"], imds_compat: true })]),
    ];
    for (const call of calls(eager)) assert.equal((await failure(call())).code, "api-fault");
    for (const call of calls(client)) assert.equal((await failure(call())).code, "feature-unsupported");
    eager.close();
  });

  it("is not another VM's, even if it answers", async () => {
    const { client } = await startIdle("e2e-9");
    const error = await failure(waitUntilReady(client, "e2e-1", "Not started", { clock: host.clock }));
    assert.equal(error.code, "process-stranger");
  });

  it("says in its log that a guest ran and ended", async () => {
    const { exited } = startGuest(guest("hello"));
    assert.deepEqual(await exited, { code: 0, signal: null });
    assert.deepEqual(
      [...new Set(events().map(({ kind }) => kind))],
      ["program-started", "vm-started", "vm-stopping", "program-ended"],
    );
  });

  it("says in its log, with levels and origins too, why it could not start", async () => {
    const { client, exited } = startGuest(at("none"), "e2e-1", { showLevel: true, showLogOrigin: true });
    // Nobody asks its API meanwhile: a client that comes just then may cost it its last words.
    await exited;
    const error = await failure(waitUntilReady(client, "e2e-1", "Running", { clock: host.clock, exited }));
    assert.equal(error.code, "firecracker-failed");
    // On its way out 1.12.1 now and then meets its own filter, under load, and logs that last.
    assert.match(events().at(-1)?.kind ?? "", /^(program-ended|bad-syscall)$/);
    const reason = events().find(({ kind }) => kind === "failure");
    assert.ok(reason?.kind === "failure" && reason.text.includes("kernel file cannot be opened"));
  });

  it("says in its log that its seccomp filter stopped a system call", async () => {
    writeFileSync(at("filter"), filterTrapping("vcpu", SYS_IOCTL));
    const { exited } = startGuest(guest("tick"), "e2e-1", { seccompFilter: at("filter") });
    assert.deepEqual(await exited, { code: 148, signal: null });
    assert.deepEqual(
      events().filter(({ kind }) => kind === "bad-syscall"),
      [{ kind: "bad-syscall", number: SYS_IOCTL }],
    );
  });

  it("says in its log by which signal it died, and that it panicked", async () => {
    const { child, client, exited } = startGuest(guest("tick"));
    await waitUntilReady(client, "e2e-1", "Running", { clock: host.clock, exited });
    child.kill("SIGHUP");
    assert.deepEqual(await exited, { code: 156, signal: null });
    assert.deepEqual(events().at(-1), { kind: "signal", number: 1, fatal: true });
    const panicked = start("e2e-2", { configFile: at("none") });
    assert.deepEqual(await panicked.exited, { code: null, signal: "SIGABRT" });
    assert.equal(events().at(-1)?.kind, "panic");
  });
});

/** A guest of a few KB. */
function guestFile(name: string): string {
  return join(import.meta.dirname, "../../guests", `${name}.elf`);
}

const SYS_IOCTL = 16;

/**
 * A compiled filter as `--seccomp-filter` takes it (1.12: a map of thread kinds to BPF programs, in bincode) which
 * allows everything but one system call of one kind of thread.
 */
function filterTrapping(thread: string, call: number): Buffer {
  const instruction = (code: number, onTrue: number, onFalse: number, operand: number) =>
    BigInt(code) | (BigInt(onTrue) << 16n) | (BigInt(onFalse) << 24n) | (BigInt(operand) << 32n);
  const load = instruction(0x20, 0, 0, 0);
  const compare = instruction(0x15, 0, 1, call);
  const trap = instruction(0x06, 0, 0, 0x0003_0000);
  const allow = instruction(0x06, 0, 0, 0x7fff_0000);
  const programs = ["vmm", "api", "vcpu"].map((name) => ({
    name,
    code: name === thread ? [load, compare, trap, allow] : [allow],
  }));
  const words = (...values: (bigint | number)[]) => Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
  const parts = programs.map(({ name, code }) =>
    Buffer.concat([words(name.length), Buffer.from(name), words(code.length, ...code)]),
  );
  return Buffer.concat([words(programs.length), ...parts]);
}
