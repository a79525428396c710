/** Guests: what they print, how they end, and what their host hears of it. */
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { describe, it } from "node:test";
import { fault, request } from "./api.ts";
import { Bench, closeAll, configText, drain, holdFifo } from "./bench.ts";
import type { Running } from "./running.ts";
import type { RealGuest, Subject } from "./subject.ts";
import { until } from "./until.ts";

const AFTER_START = "400 The requested operation is not supported after starting the microVM.";

/** A pipe's capacity. */
const PIPE_BYTES = 65_536;

export function guestCases(subject: Subject): void {
  describe("a guest", subject.guestRequirement, () => {
    it("prints to standard output and ends Firecracker with 0, in a jail", async (t) => {
      const bench = new Bench(subject, t);
      bench.writeConfig(bench.root, "hello", "/");
      const running = bench.startJailer(
        bench.jailerArguments({}, ["--", "--config-file", "/config.json", "--level", "Off"]),
      );
      assert.deepEqual(await running.end(), { code: 0, signal: null });
      assert.equal(running.stdout, "hello from a jailed guest\n");
      assert.ok(existsSync(bench.jailSocket));
    });

    it("is started by a request, whose answer comes before its end", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket, log } = await startGuest(bench, "hello");
      assert.deepEqual(await running.end(), { code: 0, signal: null });
      assert.equal(running.stdout, "hello from a jailed guest\n");
      const messages = log()
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/^.*?\] /, ""));
      assert.deepEqual(messages.slice(-2), ["Vmm is stopping.", "Firecracker exiting successfully. exit_code=0"]);
      assert.ok(existsSync(socket));
    });

    it("of a kernel that is none is refused, and can be replaced", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await bench.startApi();
      await request(socket, "PUT", "/boot-source", { kernel_image_path: "/etc/passwd" });
      const cause = "Cannot load kernel due to invalid memory configuration or invalid kernel image";
      const loader = "Kernel Loader: failed to load ELF kernel image: Kernel Loader: Invalid Elf magic number";
      const start = () => fault(socket, "PUT", "/actions", { action_type: "InstanceStart" });
      assert.equal(await start(), `400 Start microvm error: System configuration error: ${cause}: ${loader}`);
      assert.match((await request(socket, "GET", "/")).body, /"state":"Not started"/);
      const kernel = bench.write(bench.path("kernel"), subject.kernel("hello"));
      await request(socket, "PUT", "/boot-source", { kernel_image_path: kernel });
      assert.equal(await start(), "204 ");
      assert.equal((await running.end()).code, 0);
    });

    it("can be paused and resumed, any number of times", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await startGuest(bench, "tick");
      await running.says("tick\n");
      for (const _ of [1, 2]) assert.equal(await fault(socket, "PATCH", "/vm", { state: "Paused" }), "204 ");
      assert.match((await request(socket, "GET", "/")).body, /"state":"Paused"/);
      const ticks = () => running.stdout.split("tick\n").length;
      const paused = ticks();
      // A request takes longer than a tick does.
      for (let index = 0; index < 20; index++) await request(socket, "GET", "/");
      assert.ok(ticks() <= paused + 1);
      for (const _ of [1, 2]) assert.equal(await fault(socket, "PATCH", "/vm", { state: "Resumed" }), "204 ");
      await until("it ticks again", () => ticks() > paused + 1);
    });

    it("that runs can't be configured", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await startGuest(bench, "idle");
      await running.says("idle\n");
      for (const [method, path, body] of TOO_LATE) {
        assert.equal(await fault(socket, method, path, body), AFTER_START, `${method} ${path}`);
      }
      assert.equal(await fault(socket, "PUT", "/mmds", {}), "204 ");
    });

    it("hears Ctrl+Alt+Del if it listens", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await startGuest(bench, "ctrl-alt-del");
      await running.says("waiting for ctrl-alt-del\n");
      assert.equal(await fault(socket, "PUT", "/actions", { action_type: "SendCtrlAltDel" }), "204 ");
      assert.deepEqual(await running.end(), { code: 0, signal: null });
    });

    it("does not hear Ctrl+Alt+Del if it does not", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await startGuest(bench, "tick");
      await running.says("tick\n");
      assert.equal(await fault(socket, "PUT", "/actions", { action_type: "SendCtrlAltDel" }), "204 ");
      const ticks = running.stdout.split("tick\n").length;
      await until("it goes on", () => running.stdout.split("tick\n").length > ticks + 1);
      assert.match((await request(socket, "GET", "/")).body, /"state":"Running"/);
    });

    it("that dies of a triple fault ends Firecracker with 0, and a line in the log", async (t) => {
      const bench = new Bench(subject, t);
      const { running, log } = await startGuest(bench, "panic");
      assert.deepEqual(await running.end(), { code: 0, signal: null });
      assert.equal(running.stdout, "panicking\n");
      assert.match(log(), /\[[^\]]*:fc_vcpu 0\] Received KVM_EXIT_SHUTDOWN signal$/m);
    });

    it("that prints without end is never held up by a console that nobody reads", async (t) => {
      const bench = new Bench(subject, t);
      const console = bench.fifo(bench.path("console"));
      const reader = holdFifo(console);
      const writer = openSync(console, "w");
      t.after(() => closeAll(reader, writer));
      const log = bench.write(bench.path("log"), "");
      const socket = bench.path("api.socket");
      const config = bench.writeConfig(bench.directory, "flood");
      const argv = ["--config-file", config, "--api-sock", socket, "--log-path", log];
      const running = bench.startFirecracker(argv, writer);
      const lost =
        'Failed the write to serial: IOError(Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" })';
      await until("bytes are lost", () => readFileSync(log, "utf8").includes(`:fc_vcpu 0] ${lost}\n`));
      assert.match((await request(socket, "GET", "/")).body, /"state":"Running"/);
      running.child.kill("SIGKILL");
      await running.end();
      assert.equal(drain(reader).length, PIPE_BYTES);
    });

    it("is read on by a second reader of its console, after a first one went", async (t) => {
      const bench = new Bench(subject, t);
      const console = bench.fifo(bench.path("console"));
      const first = holdFifo(console);
      const writer = openSync(console, "w");
      const config = bench.writeConfig(bench.directory, "tick");
      bench.startFirecracker(["--config-file", config, "--no-api", "--level", "Off"], writer);
      await until("the first reader sees it tick", () => drain(first).includes("tick"));
      const second = holdFifo(console);
      t.after(() => closeAll(second, writer));
      closeSync(first);
      await until("the second reader sees it tick", () => drain(second).includes("tick"));
    });

    it("leaves lines of metrics: at the start, when they are flushed, and at the end", async (t) => {
      const bench = new Bench(subject, t);
      const metrics = bench.write(bench.path("metrics"), "");
      const { running, socket } = await startGuest(bench, "ctrl-alt-del", ["--metrics-path", metrics]);
      await running.says("waiting");
      const lines = () => readFileSync(metrics, "utf8").split("\n").slice(0, -1);
      assert.equal(lines().length, 1);
      await request(socket, "PUT", "/actions", { action_type: "FlushMetrics" });
      assert.equal(lines().length, 2);
      await request(socket, "PUT", "/actions", { action_type: "SendCtrlAltDel" });
      await running.end();
      assert.equal(lines().length, 3);
      for (const line of lines()) {
        const groups = JSON.parse(line);
        assert.equal(typeof groups.utc_timestamp_ms, "number");
        for (const group of ["api_server", "logger", "seccomp", "signals", "uart", "vcpu", "vmm"]) {
          assert.equal(typeof groups[group], "object", group);
        }
      }
    });

    it("reopens nothing: a kernel that is deleted after it was set still boots", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket } = await bench.startApi();
      const kernel = bench.write(bench.path("kernel"), subject.kernel("hello"));
      await request(socket, "PUT", "/boot-source", { kernel_image_path: kernel });
      rmSync(kernel);
      assert.equal(await fault(socket, "PUT", "/actions", { action_type: "InstanceStart" }), "204 ");
      assert.equal((await running.end()).code, 0);
    });
  });

  describe("signals to Firecracker", subject.guestRequirement, () => {
    const ends: readonly (readonly [signal: NodeJS.Signals, code: number | null, caught: number])[] = [
      ["SIGHUP", 156, 1],
      ["SIGILL", 157, 4],
      ["SIGBUS", 149, 7],
      ["SIGSEGV", 150, 11],
      ["SIGXCPU", 154, 24],
      ["SIGXFSZ", 151, 25],
      ["SIGSYS", 2, 31],
    ];
    for (const [signal, code, number] of ends) {
      it(`end it with ${code} after ${signal}, for which there is a handler`, async (t) => {
        const bench = new Bench(subject, t);
        const { running, log } = await startGuest(bench, "idle");
        await running.says("idle\n");
        running.child.kill(signal);
        assert.deepEqual(await running.end(), { code, signal: null });
        const line = new RegExp(`\\] Shutting down VM after intercepting signal ${number}, code 0\\.$`, "m");
        assert.match(log(), line);
      });
    }

    for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGKILL"] as const) {
      it(`kill it: ${signal}`, async (t) => {
        const bench = new Bench(subject, t);
        const { running } = await startGuest(bench, "idle");
        await running.says("idle\n");
        running.child.kill(signal);
        assert.deepEqual(await running.end(), { code: null, signal });
      });
    }

    it("leave it alone: SIGPIPE", async (t) => {
      const bench = new Bench(subject, t);
      const { running, socket, log } = await startGuest(bench, "idle");
      await running.says("idle\n");
      running.child.kill("SIGPIPE");
      await until("it is noted in the log", () => log().includes("Received signal 13, code 0."));
      assert.equal((await request(socket, "GET", "/")).status, 200);
    });
  });
}

const TOO_LATE: readonly (readonly [method: string, path: string, body: unknown])[] = [
  ["PUT", "/actions", { action_type: "InstanceStart" }],
  ["PUT", "/boot-source", { kernel_image_path: "/k" }],
  ["PUT", "/machine-config", { vcpu_count: 1, mem_size_mib: 64 }],
  ["PATCH", "/machine-config", { vcpu_count: 1 }],
  ["PUT", "/vsock", { guest_cid: 3, uds_path: "/v" }],
  ["PUT", "/logger", { level: "Info" }],
  ["PUT", "/entropy", {}],
  ["PUT", "/snapshot/load", { snapshot_path: "/s", mem_backend: { backend_type: "File", backend_path: "/m" } }],
];

/** A guest that was started by requests. */
interface Started {
  /** Its standard output is the guest's console alone: in one file, console and log would run into each other. */
  readonly running: Running;
  readonly socket: string;
  readonly log: () => string;
}

export async function startGuest(bench: Bench, guest: RealGuest, argv: readonly string[] = []): Promise<Started> {
  const logFile = bench.write(bench.path("log"), "");
  const { running, socket } = await bench.startApi(["--log-path", logFile, ...argv]);
  const kernel = bench.write(bench.path("kernel"), bench.subject.kernel(guest));
  const config = JSON.parse(configText(kernel));
  await request(socket, "PUT", "/boot-source", config["boot-source"]);
  await request(socket, "PUT", "/machine-config", config["machine-config"]);
  assert.equal(await fault(socket, "PUT", "/actions", { action_type: "InstanceStart" }), "204 ");
  return { running, socket, log: () => readFileSync(logFile, "utf8") };
}
