/** Jails that nobody had to be root for: what is written down of them, and that nothing gets out. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fault, request } from "../../test/support/conformance/api.ts";
import type { Bench, Result } from "../../test/support/conformance/bench.ts";
import { benchOfFakes } from "../../test/support/conformance/fakes.ts";

const NOBODY = 65_534;

/** Runs a jailed Firecracker with a configuration file, to its end. */
async function runWith(bench: Bench, config: string): Promise<Result> {
  rmSync(bench.inJail("dev"), { recursive: true, force: true });
  rmSync(bench.pidFile, { force: true });
  return bench.jailer(bench.jailerArguments({}, ["--", "--config-file", config, "--no-api"]));
}

describe("the records", () => {
  it("have what was done, and what would have been done with more rights", async (t) => {
    const { bench, fakes } = await benchOfFakes(t);
    await bench.jailVersion({}, ["--cgroup", "pids.max=700", "--resource-limit", "fsize=1000"]);
    const [record, ...others] = fakes.records();
    assert.deepEqual(others, []);
    assert.ok(record?.kind === "jail");
    assert.deepEqual([record.id, record.root, record.error], [bench.id, bench.root, undefined]);
    assert.equal(record.argv.at(-1), "--version");
    const done = new Map(record.actions.map(({ action, done }) => [action, done]));
    assert.deepEqual(Object.fromEntries(done), {
      chown: false,
      mknod: false,
      unshare: false,
      setuid: false,
      setrlimit: true,
      "cgroup-write": true,
    });
    const limit = join(fakes.cgroupRoot ?? "", "pids", bench.executable, bench.id, "pids.max");
    assert.equal(readFileSync(limit, "utf8"), "700\n");
  });

  it("have why it failed", async (t) => {
    const { bench, fakes } = await benchOfFakes(t);
    await bench.jailVersion({ netns: "/nope" });
    const [record] = fakes.records();
    assert.ok(record?.kind === "jail");
    assert.match(record.error ?? "", /^Failed to open file \/nope/);
  });

  it("have requests and their answers", async (t) => {
    const { bench, fakes } = await benchOfFakes(t);
    const { socket } = await bench.startApi();
    await request(socket, "PUT", "/nope", {});
    const last = fakes.records().at(-1);
    assert.deepEqual(last, { kind: "request", id: bench.id, method: "PUT", path: "/nope", body: "{}", status: 400 });
  });
});

describe("the inside of a jail", () => {
  it("has no way out through links", async (t) => {
    const { bench } = await benchOfFakes(t);
    const outside = bench.write(bench.path("outside"), "{}");
    mkdirSync(bench.inJail("links"), { recursive: true });
    symlinkSync(outside, bench.inJail("links/absolute"));
    symlinkSync("../../../../../../../outside", bench.inJail("links/relative"));
    symlinkSync("loop", bench.inJail("links/loop"));
    for (const [name, problem] of [
      ["absolute", "No such file or directory"],
      ["relative", "No such file or directory"],
      ["loop", "Symbolic link loop"],
    ]) {
      const { signal, stdout } = await runWith(bench, `/links/${name}`);
      assert.equal(signal, "SIGABRT");
      assert.ok(stdout.includes(`message: "${problem}"`), stdout);
    }
  });

  it("is where links lead, as after a chroot", async (t) => {
    const { bench } = await benchOfFakes(t);
    bench.write(bench.inJail("real/config.json"), "{}");
    symlinkSync("/../real/./config.json", bench.inJail("config.json"));
    const { code, stdout } = await runWith(bench, "config.json");
    assert.equal(code, 1);
    assert.match(stdout, /missing field `drives`/);
  });

  it("is where a vsock's socket is made, however long the way to the jail is", async (t) => {
    const { bench } = await benchOfFakes(t);
    const base = join(bench.jails, "b".repeat(60));
    mkdirSync(base);
    const running = bench.startJailer(bench.jailerArguments({ "chroot-base-dir": base }));
    await running.says("Listening on API socket");
    const socket = join(base, bench.executable, bench.id, "root/run/firecracker.socket");
    assert.ok(Buffer.byteLength(socket) > 107);
    const near = `/proc/${running.pid}/cwd/run/firecracker.socket`;
    assert.equal(await fault(near, "PUT", "/vsock", { guest_cid: 3, uds_path: "/v.sock" }), "204 ");
  });
});

describe("rights that are asked for and not there", () => {
  it("fail where the real jailer fails", async (t) => {
    const startAs = process.getuid?.() === 0 ? { startAs: { uid: NOBODY, gid: NOBODY } } : {};
    const { bench } = await benchOfFakes(t, { privileged: true, cgroups: { kind: "host" } }, startAs);
    chmodSync(bench.jails, 0o777);
    const { signal, stderr } = await bench.jailVersion();
    assert.equal(signal, "SIGABRT");
    const message = "Failed to unshare into new mount namespace: Operation not permitted (os error 1)";
    assert.ok(stderr.includes(`Jailer error: ${message}\n`), stderr);
  });
});
