/** What the fakes have that no real binary has: faults, scripted ends, names and versions at will. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { requires } from "../../test/support/capability.ts";
import { fault, request } from "../../test/support/conformance/api.ts";
import { type Bench, closeAll, configText, holdFifo, type Result } from "../../test/support/conformance/bench.ts";
import { benchOfFakes } from "../../test/support/conformance/fakes.ts";
import { until } from "../../test/support/conformance/until.ts";
import { type GuestBehaviour, guestKernel, installFakes } from "./index.ts";

/** Boots a kernel without an API, to its end. */
async function boot(bench: Bench, kernel: Uint8Array): Promise<Result> {
  const file = bench.write(bench.path("kernel"), kernel);
  const config = bench.write(bench.path("config.json"), configText(file));
  return bench.firecracker(["--config-file", config, "--no-api", "--level", "Error"]);
}

describe("a fault", () => {
  it("hits the next process alone", async (t) => {
    const { bench, fakes } = await benchOfFakes(t);
    await fakes.queueFaults("exit-before-bind");
    const socket = bench.path("api.socket");
    const first = bench.startFirecracker(["--api-sock", socket]);
    assert.deepEqual(await first.end(), { code: 1, signal: null });
    assert.match(first.stdout, /^[^\n]* Running Firecracker v1\.12\.1\n$/);
    assert.ok(!existsSync(socket));
    await bench.startApi();
  });

  it("is not for a process that only prints its version", async (t) => {
    const { bench, fakes } = await benchOfFakes(t);
    await fakes.queueFaults("wrong-id");
    await bench.firecracker(["--version"]);
    const { socket } = await bench.startApi();
    assert.match((await request(socket, "GET", "/")).body, /^\{"id":"somebody-else"/);
  });

  it("waits in a queue, one set for each process", async (t) => {
    const { bench, fakes } = await benchOfFakes(t);
    await fakes.queueFaults("wrong-id");
    await fakes.queueFaults("api-error:/machine-config", "wrong-id");
    const { running, socket } = await bench.startApi();
    assert.match((await request(socket, "GET", "/")).body, /^\{"id":"somebody-else"/);
    running.child.kill("SIGKILL");
    await running.end();
    const other = bench.path("other.socket");
    await bench.ready(bench.startFirecracker(["--api-sock", other]), other);
    assert.equal(await fault(other, "GET", "/machine-config"), "400 Fault injected by a test.");
    assert.equal((await request(other, "GET", "/machine-config")).status, 200);
  });

  it("can keep the socket away for a while, or for good", async (t) => {
    const { bench, fakes } = await benchOfFakes(t);
    await fakes.queueFaults("never-bind");
    const never = bench.path("never.socket");
    const stuck = bench.startFirecracker(["--api-sock", never]);
    await stuck.says("Running Firecracker");
    await fakes.queueFaults("slow-bind:300");
    const startedMs = Date.now();
    await bench.startApi();
    assert.ok(Date.now() - startedMs >= 300);
    assert.ok(!existsSync(never));
    assert.ok(stuck.isAlive);
  });

  it("can make every process deaf to SIGTERM", async (t) => {
    const { bench } = await benchOfFakes(t, { faults: ["ignore-sigterm"] });
    const { running, socket } = await bench.startApi();
    running.child.kill("SIGTERM");
    assert.equal((await request(socket, "GET", "/")).status, 200);
  });

  it("can let the API hang", async (t) => {
    const { bench } = await benchOfFakes(t, { faults: ["hang-on-api"] });
    const socket = bench.path("api.socket");
    await bench.startFirecracker(["--api-sock", socket]).says("API server started");
    const answer = request(socket, "GET", "/").catch(() => "died");
    // Time is what this is about: an answer would come within a millisecond.
    assert.equal(await Promise.race([answer, sleep(100, "hangs")]), "hangs");
  });
});

describe("a scripted guest", () => {
  const ends: readonly (readonly [guest: GuestBehaviour, code: number | null, signal: NodeJS.Signals | null])[] = [
    ["hello", 0, null],
    ["exit:7", 7, null],
    ["signal:SIGKILL", null, "SIGKILL"],
    ["signal:SIGABRT", null, "SIGABRT"],
    ["seccomp", 148, null],
  ];
  for (const [guest, code, signal] of ends) {
    it(`ends as it is told to: ${guest}`, async (t) => {
      const { bench } = await benchOfFakes(t);
      const end = await boot(bench, guestKernel(guest));
      assert.deepEqual({ code: end.code, signal: end.signal }, { code, signal });
      assert.equal(end.stdout.split("\n")[0], "hello from a jailed guest");
    });
  }

  it("prints what the probe guest prints", async (t) => {
    const { bench } = await benchOfFakes(t);
    const { code, stdout } = await boot(bench, guestKernel("probe"));
    assert.equal(code, 0);
    assert.match(stdout, /^warder probe: up\nwarder probe: loop 200000 begin\n.*\nwarder probe: reset\n$/s);
  });

  it("is what the installation says, where a kernel has no marker", async (t) => {
    const { bench } = await benchOfFakes(t, { guest: "exit:9" });
    const kernel = Buffer.from(guestKernel("hello"));
    assert.equal((await boot(bench, kernel)).code, 0);
    assert.equal((await boot(bench, kernel.subarray(0, kernel.indexOf("warder-fake-guest:")))).code, 9);
  });

  it("logs few lines of lost bytes in the releases that limit them", async (t) => {
    const { bench } = await benchOfFakes(t, { version: "1.16.1" });
    const kernel = bench.write(bench.path("kernel"), guestKernel("flood"));
    const config = bench.write(bench.path("config.json"), configText(kernel));
    const log = bench.path("log");
    const console = bench.fifo(bench.path("console"));
    const reader = holdFifo(console);
    t.after(() => closeAll(reader));
    const socket = bench.path("api.socket");
    const metrics = bench.path("metrics");
    const argv = ["--config-file", config, "--api-sock", socket, "--log-path", log, "--metrics-path", metrics];
    await bench.ready(bench.startFirecracker(argv, reader), socket);
    await until("a hundred writes are lost", async () => {
      await request(socket, "PUT", "/actions", { action_type: "FlushMetrics" });
      return lostBytes(readFileSync(metrics, "utf8")) > 100 * 1024;
    });
    const lost = readFileSync(log, "utf8").match(/Failed the write to serial/g) ?? [];
    assert.ok(lost.length > 0 && lost.length <= 20, String(lost.length));
  });
});

function lostBytes(metrics: string): number {
  const counts = metrics.matchAll(/"uart":\{[^}]*"missed_write_count":(\d+)/g);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe("an installation", () => {
  it("names the fake Firecracker as it is told to: the name becomes part of the jail's path", async (t) => {
    const { bench } = await benchOfFakes(t, { name: "firecracker-v1.14.1" });
    assert.equal((await bench.jailVersion()).code, 0);
    assert.match(bench.pidFile, /\/firecracker-v1\.14\.1\/[^/]+\/root\/firecracker-v1\.14\.1\.pid$/);
    assert.ok(existsSync(bench.pidFile));
  });

  it("knows only the TAP devices that it is told of", async (t) => {
    const { bench } = await benchOfFakes(t, { taps: ["tap0"] });
    const { socket } = await bench.startApi();
    const put = (tap: string) =>
      fault(socket, "PUT", "/network-interfaces/eth0", { iface_id: "eth0", host_dev_name: tap });
    assert.match(
      await put("tap1"),
      /Operation not permitted \(os error 1\)\. Invalid TUN\/TAP Backend provided by tap1\./,
    );
    assert.equal(await put("tap0"), "204 ");
  });

  it("refuses a version that is none, and writes nothing", async (t) => {
    const { bench } = await benchOfFakes(t);
    const directory = bench.path("nothing");
    await assert.rejects(installFakes({ directory, version: "latest" }), /Not a Firecracker version: latest/);
    assert.ok(!existsSync(directory));
  });

  it("works for root where nobody else may look", requires("root"), async (t) => {
    const { bench, fakes } = await benchOfFakes(t, { privileged: true }, { isPrivileged: true });
    chmodSync(dirname(fakes.jailer), 0o700);
    chmodSync(bench.directory, 0o700);
    const running = bench.startJailer(bench.jailerArguments());
    await bench.ready(running, bench.jailSocket);
    assert.equal(statSync(`/proc/${running.pid}`).uid, bench.subject.uid);
    assert.deepEqual([running.stderr, fakes.records().length > 0], ["", true]);
  });

  it("works from a directory whose name a shell would take apart", async (t) => {
    const { bench } = await benchOfFakes(t);
    const directory = bench.path("it's a $HOME");
    const fakes = await installFakes({ directory, privileged: false });
    const { stdout } = await bench.run(fakes.firecracker, ["--version"]);
    assert.match(stdout, /^Firecracker v1\.12\.1\n/);
  });
});
