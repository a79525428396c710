import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, type TestContext, test } from "node:test";
import { fakeTerminal, warder } from "../../../test/support/fake-terminal.ts";
import { makeAuthority } from "../../../test/support/rpc/certificates.ts";
import { serveOnLoopback } from "../../../test/support/rpc/on-loopback.ts";
import type { Caller } from "../../access/caller.ts";
import type { Tenant } from "../../vm/belongings.ts";
import { metadata } from "../commands/metadata.ts";
import { vsock } from "../commands/vsock.ts";
import { Interrupter } from "../interruption.ts";

/** A place of its own, so that nothing of this machine's configuration or VMs counts. */
function place(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "warder-way-"));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A daemon over a host in memory, and the command line on it. */
async function daemon(context: TestContext, tokens: Readonly<Record<string, Caller>> = {}) {
  const { host, url } = await serveOnLoopback(context, { tokens });
  const run = (...args: string[]) => warder("--host", url, ...args);
  const json = async (...args: string[]): Promise<unknown> => {
    const { status, stdout, stderr } = await run(...args, "--json");
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  };
  return { host, url, run, json };
}

describe("commands of a daemon's VMs", () => {
  test("lead a VM through its life", async (context) => {
    const { host, run, json } = await daemon(context);
    assert.equal((await run("create", "--probe", "--id", "a")).stdout, "a\n");
    assert.equal((await run("start", "a", "--idempotency-key", "k")).stdout, "a\n");
    assert.deepEqual(await json("pause", "a", "--force"), { id: "a", state: "paused" });
    assert.deepEqual(await json("resume", "a"), { id: "a", state: "running" });
    assert.equal(((await json("reboot", "a", "-t", "1")) as { state: string }).state, "running");
    assert.match((await run("ps")).stdout, /^a {3}running /m);
    assert.match((await run("inspect", "a")).stdout, /^state +running$/m);
    assert.match((await run("stop", "a")).stdout, /^a ended by ctrl-alt-del after /);
    assert.equal(((await json("stop", "a")) as { endedBy: null }).endedBy, null);
    assert.match((await run("ps", "-a")).stdout, /^a {3}exited /m);
    for (const _twice of [1, 2]) assert.equal((await run("rm", "a")).stdout, "a\n");
    assert.equal(host.records().length, 0);
    const absent = await run("kill", "a");
    assert.equal(absent.status, 4);
    assert.match(absent.stderr, /\[vm-not-found\]/);
  });

  test("tell of one that never ran, or could not, as it is", async (context) => {
    const { run, json } = await daemon(context);
    await run("create", "--probe", "--id", "a");
    assert.equal((await run("start", "../x")).status, 2);
    const entry = (await json("ps", "-a")) as { state: string }[];
    assert.deepEqual(
      entry.map(({ state }) => state),
      ["created"],
    );
  });

  test("run in the background, and are forgotten where that was asked for", async (context) => {
    const { host, run, json } = await daemon(context);
    const view = (await json("run", "-d", "--probe", "--id", "a", "--rm")) as { id: string; state: string };
    assert.deepEqual([view.id, view.state], ["a", "running"]);
    assert.equal((await run("kill", "a")).status, 0);
    while (host.records().length > 0) await new Promise(setImmediate);
  });

  test("run in the foreground with their console, and end with their exit", async (context) => {
    const { host, url } = await daemon(context);
    host.consoles.set("a", "hello from the guest\n");
    const running = warder("--host", url, "run", "--kernel", "/k", "--id", "a", "--rm");
    while (host.records()[0]?.state !== "running") await new Promise(setImmediate);
    host.end("a");
    const { status, stdout, stderr } = await running;
    assert.deepEqual([status, stdout], [0, "hello from the guest\n"]);
    assert.match(stderr, /^a ended after .*guest-ended/m);
    assert.equal(host.records().length, 0);
  });

  test("fail with the flags that were wrong", async (context) => {
    const { host, run } = await daemon(context);
    await host.create({ id: "a", kernel: "probe" });
    const { status, stderr } = await run("run", "-d", "--probe", "--id", "a");
    assert.equal(status, 1);
    assert.match(stderr, /\[vm-exists\]/);
  });

  test("show output, usage, changes and drops", async (context) => {
    const { host, run, json } = await daemon(context);
    await run("run", "-d", "--probe", "--id", "a");
    host.consoles.set("a", "one\ntwo\n");
    assert.equal((await run("logs", "a")).stdout, "one\ntwo\n");
    assert.equal((await run("logs", "-n", "1", "a")).stdout, "two\n");
    const [entry] = (await json("stats")) as { usage: object }[];
    assert.deepEqual(entry?.usage, { memoryBytes: 1024, cpuMicroseconds: 2000 });
    assert.equal(((await json("stats", "a")) as object[]).length, 1);
    assert.deepEqual(((await json("network", "inspect", "a")) as { drops: object[] }).drops.length, 1);
    assert.equal((await run("logs", "nope")).status, 4);
    assert.equal((await run("stats", "nope")).status, 4);
  });

  test("limit devices, and change metadata", async (context) => {
    const { host, run, json } = await daemon(context);
    await host.create({ id: "a", kernel: "/k", drives: [{ path: "/disk", root: true }] });
    const drive = host.get("a").record.spec.drives[0]?.id ?? "";
    assert.equal((await run("limit", "a", "--drive", drive, "--ops", "50")).stdout, "a\n");
    assert.equal(host.get("a").record.spec.drives[0]?.rateLimit?.operations?.perSecond, 50);
    const file = join(place(context), "data.json");
    writeFileSync(file, JSON.stringify({ role: "db" }));
    assert.deepEqual(await json("metadata", "a", "set", file), { role: "db" });
    assert.deepEqual(await json("metadata", "a", "get"), { role: "db" });
  });

  test("patch metadata from standard input", async (context) => {
    const { host, url } = await daemon(context);
    await host.create({ id: "a", kernel: "/k" });
    const request = { json: true, overrides: { host: url }, id: "a", verb: "patch" } as const;
    const terminal = fakeTerminal();
    const input = Readable.from([Buffer.from('{"a": 1}')]);
    assert.equal(await metadata(request, input, terminal, new Interrupter()), 0);
    assert.deepEqual(JSON.parse(terminal.stdout.text), { a: 1 });
  });

  test("watch until they are told to stop", async (context) => {
    const { host, url } = await daemon(context);
    await host.create({ id: "a", kernel: "/k" });
    const terminal = fakeTerminal();
    const interruption = new Interrupter();
    const { watch } = await import("../commands/watch.ts");
    const request = { json: false, overrides: { host: url }, since: 0 };
    const watching = watch(request, terminal, interruption);
    while (terminal.stdout.lines.length === 0) await new Promise(setImmediate);
    interruption.interrupt("SIGINT");
    assert.equal(await watching, 130);
    assert.match(terminal.stdout.text, /^1 {2}.* {2}a {2}run 0 {2}- -> created$/m);
  });

  test("join standard input and output to a program of the guest's", async (context) => {
    const { host, url } = await daemon(context);
    await host.create({ id: "a", kernel: "/k" });
    for (const verb of ["connect", "listen"] as const) {
      const terminal = fakeTerminal();
      const common = { json: false, overrides: { host: url }, id: "a", port: 52 };
      const request = { ...common, verb, halfClose: "pass", timeoutMs: 5_000 } as const;
      const input = Readable.from([Buffer.from("hello")]);
      assert.equal(await vsock(request, input, terminal, new Interrupter()), 0);
      assert.equal(terminal.stdout.text, "hello");
    }
  });

  test("look after networks and leftovers, and examine the daemon's host", async (context) => {
    const { run, json } = await daemon(context);
    assert.match((await run("network", "ls")).stdout, /^blue +10\.1\.0\.0\/24/m);
    assert.match((await run("network", "inspect", "blue")).stdout, /^vm-1 +10\.1\.0\.2$/m);
    assert.equal((await run("network", "rm", "blue")).status, 0);
    assert.deepEqual(await json("network", "ls"), []);
    const left = (await json("gc", "--foreign", "--dry-run")) as { action: string }[];
    assert.deepEqual(
      left.map(({ action }) => action),
      ["in use", "would be settled"],
    );
    assert.equal((await run("gc")).stdout, "nothing is left over\n");
    assert.match((await run("doctor")).stdout, /VMs can be jailed here: 0 problems, 0 warnings, 1 fine/);
  });

  test("are for those alone whom the daemon lets in", async (context) => {
    const caller: Caller = { name: "ci", key: "token:1", role: "read", tenant: "acme" as Tenant };
    const { host, run } = await daemon(context, { secret: caller });
    await host.create({ id: "theirs", kernel: "probe", tenant: "other" });
    await host.create({ id: "ours", kernel: "probe", tenant: "acme" });
    const token = join(place(context), "token");
    writeFileSync(token, "secret\n");
    assert.equal((await run("ps", "-aq", "--token", token)).stdout, "ours\n");
    const { status, stderr } = await run("start", "ours", "--token", token);
    assert.equal(status, 3);
    assert.match(stderr, /\[forbidden\]/);
    writeFileSync(token, "wrong");
    assert.match((await run("ps", "--token", token)).stderr, /\[unauthenticated\]/);
    assert.match((await run("ps", "--token", `${token}.absent`)).stderr, /^warder: reading .*token\.absent: /);
  });
});

test("a daemon over TLS is known by its authority, and knows its caller by a certificate", async (context) => {
  const authority = makeAuthority(context);
  const own = authority.sign("/CN=warder");
  const tls = { cert: own.cert, key: own.key, ca: authority.cert, requestCert: true, rejectUnauthorized: false };
  const { host, port } = await serveOnLoopback(context, {
    door: { kind: "tls", address: "127.0.0.1", port: 0, tls },
  });
  await host.create({ id: "a", kernel: "probe", tenant: "acme" });
  await host.create({ id: "b", kernel: "probe", tenant: "other" });
  const caller = authority.sign("/CN=deployer/O=acme/OU=operate");
  const address = ["--host", `https://localhost:${port}`];
  const shown = ["--host-ca", authority.certFile, "--host-cert", caller.certFile, "--host-key", caller.keyFile];
  assert.deepEqual(await warder(...address, ...shown, "ps", "-aq"), { status: 0, stdout: "a\n", stderr: "" });
  assert.match((await warder(...address, "--host-ca", authority.certFile, "ps")).stderr, /\[unauthenticated\]/);
  assert.notEqual((await warder(...address, ...shown.slice(2), "ps")).status, 0);
});

describe("which way is taken", () => {
  test("a daemon that is named must be there, and follows no flags of this process's own", async (context) => {
    const directory = place(context);
    const named = ["--host", `unix://${directory}/nobody.sock`];
    const absent = await warder(...named, "ps");
    assert.equal(absent.status, 1);
    assert.match(absent.stderr, /\[daemon-unreachable\]\n {2}See whether `warder serve` runs/);
    const { status, stderr } = await warder(...named, "ps", "--chroot-base", "/x", "--set", "vm.vcpus=2");
    assert.equal(status, 2);
    assert.match(stderr, /--chroot-base: has no meaning for unix:.*\n {2}--set vm\.vcpus: has no meaning/);
  });

  test("an address is a Unix socket, TLS, or loopback in the clear, and nothing else", async () => {
    const wrong = ["http://10.0.0.1:80", "unix://relative", "https://host/path", "https://u@host", "ftp://x", "x"];
    for (const host of wrong) {
      const { status, stderr } = await warder("--host", host, "ps");
      assert.equal(status, 2, host);
      assert.match(stderr, /--host: must be local, unix:/, host);
    }
  });

  test("a socket on which nobody answers, or another state's daemon does, is passed over", async (context) => {
    const directory = place(context);
    const server = createServer(() => undefined).listen(`${directory}/silent.sock`);
    context.after(() => server.close());
    const args = ["ps", "--state-dir", `${directory}/state`, "--set", `server.socket=${directory}/silent.sock`];
    const began = performance.now();
    const { status, stdout } = await warder(...args, "--json");
    // As far as this user may open a host at all.
    assert.ok(status === 0 ? stdout === "[]\n" : /permission-denied|store-failed/.test(stdout), stdout);
    assert.ok(performance.now() - began < 10_000);
  });

  test("what is no socket is none", async (context) => {
    const directory = place(context);
    writeFileSync(`${directory}/file`, "");
    chmodSync(`${directory}/file`, 0o666);
    const set = ["--set", `server.socket=${directory}/file`];
    const { status } = await warder("ps", "--state-dir", `${directory}/state`, ...set);
    assert.ok(status === 0 || process.getuid?.() !== 0);
  });
});
