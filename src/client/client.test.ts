import assert from "node:assert/strict";
import { once } from "node:events";
import { buffer } from "node:stream/consumers";
import { describe, type TestContext, test } from "node:test";
import { makeAuthority, type Pair } from "../../test/support/rpc/certificates.ts";
import { serveOnLoopback } from "../../test/support/rpc/on-loopback.ts";
import type { Caller } from "../access/caller.ts";
import type { Tenant } from "../vm/belongings.ts";
import { isWarderError } from "../vm/error.ts";
import { toView } from "../vm/view.ts";
import { WarderClient } from "./warder-client.ts";

async function open(context: TestContext) {
  const { host, url } = await serveOnLoopback(context);
  const client = WarderClient.connect({ url });
  context.after(() => client[Symbol.dispose]());
  return { host, client };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail("it was not refused"),
    (reason: unknown) => reason,
  );
  assert.ok(isWarderError(error), String(error));
  return error.code;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe("a client", () => {
  test("leads a VM through its life", async (context) => {
    const { client } = await open(context);
    const vm = await client.create({ kernel: "probe", vcpus: 2, labels: { a: "b" } });
    const states = [await vm.inspect(), await vm.start(), await vm.pause(), await vm.resume(), await vm.reboot()];
    assert.deepEqual(
      states.map(({ state }) => state),
      ["created", "running", "paused", "running", "running"],
    );
    assert.equal((await vm.usage()).memoryBytes, 1024);
    assert.equal((await vm.prove()).level, "partial");
    assert.equal((await vm.stop()).endedBy, "ctrl-alt-del");
    assert.equal((await vm.wait()).cause, "stopped");
    assert.equal((await vm.kill()).endedBy, undefined);
    await vm.remove();
    assert.equal(await codeOf(vm.inspect()), "vm-not-found");
  });

  test("shows of a VM what the library shows", async (context) => {
    const { client, host } = await open(context);
    const vm = await client.run({ id: "a", kernel: "probe", tenant: "acme" });
    assert.deepEqual(await vm.inspect(), JSON.parse(JSON.stringify(toView(host.get("a").record))));
  });

  test("fails as the library does: with code, reason, cure and all wrong fields", async (context) => {
    const { client } = await open(context);
    await client.create({ id: "a", kernel: "probe" });
    assert.equal(await codeOf(client.create({ id: "a", kernel: "probe" })), "vm-exists");
    assert.equal(await codeOf(client.get("a").pause()), "wrong-state");
    assert.equal(await codeOf(client.get("../x").inspect()), "invalid-argument");
    await assert.rejects(client.run({ kernel: "x", vcpus: 99 }), (error) => {
      assert.ok(isWarderError(error));
      assert.deepEqual(error.fields.map(({ field }) => field).toSorted(), ["kernel", "vcpus"]);
      return true;
    });
  });

  test("does nothing twice with the same idempotency key", async (context) => {
    const { client, host } = await open(context);
    const made = await Promise.all([1, 2].map(() => client.create({ kernel: "probe" }, { idempotencyKey: "k" })));
    assert.equal(made[0]?.id, made[1]?.id);
    assert.equal(host.records().length, 1);
    assert.equal(await codeOf(client.create({ kernel: "probe" }, { idempotencyKey: "a b" })), "invalid-argument");
  });

  test("lists all VMs, over any number of pages", async (context) => {
    const { client, host } = await open(context);
    for (let index = 0; index < 1_050; index++) await host.create({ id: `vm-${index}`, kernel: "probe" });
    assert.equal((await all(client.list())).length, 1_050);
  });

  test("watches changes from where it left off", async (context) => {
    const { client, host } = await open(context);
    await host.create({ id: "a", kernel: "probe" });
    await host.get("a").start();
    const seen: number[] = [];
    for await (const { sequence } of client.watch({ since: 0 })) if (seen.push(sequence) === 1) break;
    for await (const { sequence } of client.watch({ since: 1 })) if (seen.push(sequence) === 2) break;
    assert.deepEqual(seen, [1, 2]);
  });

  test("reads a console as the bytes that it is", async (context) => {
    const { client, host } = await open(context);
    await host.create({ id: "a", kernel: "probe" });
    host.consoles.set("a", "hello\r\n");
    assert.equal(Buffer.concat(await all(client.get("a").output("console"))).toString(), "hello\r\n");
  });

  test("gives up when it is told to, and the daemon with it", async (context) => {
    const { client, host } = await open(context);
    const vm = await client.create({ kernel: "probe" });
    const cut = Promise.withResolvers<string>();
    host.gate = (_doing, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => {
          cut.resolve(String(signal.reason));
          reject(signal.reason);
        });
      });
    assert.equal(await codeOf(vm.start({ signal: AbortSignal.timeout(50) })), "deadline-exceeded");
    assert.match(await cut.promise, /the caller gave it up/);
    assert.equal(await codeOf(vm.start({ timeoutMs: 50 })), "deadline-exceeded");
  });

  test("tells why its caller gave up, in the caller's own words", async (context) => {
    const { client } = await open(context);
    const reason = new Error("enough");
    await assert.rejects(client.get("a").inspect({ signal: AbortSignal.abort(reason) }), (error) => {
      assert.ok(isWarderError(error));
      assert.equal(error.cause, reason);
      return true;
    });
  });

  test("forgets a VM that has ended where that was asked for, and one that was removed is no error", async (context) => {
    const { client, host } = await open(context);
    const vm = await client.run({ id: "a", kernel: "probe" }, { removeWhenEnded: true });
    host.end("a");
    while (host.records().length > 0) await new Promise(setImmediate);
    await vm.remove();
    assert.equal(await codeOf(client.get("b").remove()), "vm-not-found");
  });

  test("begins with the last lines of a console", async (context) => {
    const { client, host } = await open(context);
    await host.create({ id: "a", kernel: "probe" });
    host.consoles.set("a", "one\ntwo\nthree\n");
    const tail = Buffer.concat(await all(client.get("a").output("console", { tailLines: 2 })));
    assert.equal(tail.toString(), "two\nthree\n");
  });

  test("limits a device, and lets it go again", async (context) => {
    const { client, host } = await open(context);
    const drives = [{ path: "/disk", root: true }];
    const vm = await client.create({ id: "a", kernel: "probe", drives });
    const device = { drive: host.get("a").record.spec.drives[0]?.id ?? "" };
    await vm.setRateLimit(device, { operations: { perSecond: 100 } });
    assert.equal(host.get("a").record.spec.drives[0]?.rateLimit?.operations?.perSecond, 100);
    await vm.setRateLimit(device, null);
    assert.equal(host.get("a").record.spec.drives[0]?.rateLimit, undefined);
    assert.equal(await codeOf(vm.setRateLimit({ drive: "none" }, null)), "invalid-argument");
    assert.equal(await codeOf(vm.setRateLimit({ network: "eth0", direction: "rx" }, null)), "invalid-argument");
    const odd = { network: "eth0", direction: "up" as "rx" };
    assert.equal(await codeOf(vm.setRateLimit(odd, null)), "invalid-argument");
  });

  test("reads and changes what a guest is served", async (context) => {
    const { client } = await open(context);
    const { metadata } = await client.create({ kernel: "probe" });
    await metadata.set({ role: "db", old: [1, null, "x"] });
    assert.deepEqual(await metadata.get(), { role: "db", old: [1, null, "x"] });
    await metadata.patch({ old: null });
    assert.deepEqual(await metadata.get(), { role: "db" });
    assert.equal(await codeOf(metadata.set([1])), "invalid-argument");
  });

  test("counts what was dropped", async (context) => {
    const { client } = await open(context);
    const vm = await client.create({ kernel: "probe" });
    assert.deepEqual(await vm.drops(), [{ reason: "spoofed", packets: 3, bytes: 180 }]);
  });

  test("looks after the networks that VMs share", async (context) => {
    const { host } = (await open(context)).client;
    const blue = await host.network("blue");
    assert.deepEqual([blue.bridge, blue.ipv6, blue.vms], ["wbr-1", null, [{ id: "vm-1", addresses: ["10.1.0.2"] }]]);
    assert.deepEqual(await host.networks(), [blue]);
    await host.removeNetwork("blue");
    assert.deepEqual(await host.networks(), []);
    assert.equal(await codeOf(host.network("blue")), "network-not-found");
  });

  test("examines the daemon's host, and collects what was left there", async (context) => {
    const { host } = (await open(context)).client;
    const { canJail, findings } = await host.doctor();
    assert.deepEqual([canJail, findings], [true, [{ code: "root", title: "Root", status: "ok", found: "uid 0" }]]);
    const { leftovers, failures } = await host.collectGarbage({ isDryRun: true, isForeign: true });
    assert.deepEqual(failures, []);
    assert.deepEqual(leftovers, [
      { kind: "jail", name: "/j/a", own: false, why: "it is unknown", usedBy: "pid 1", action: "in use" },
      { kind: "record", name: "a", own: true, why: "it ended", action: "would be settled" },
    ]);
  });

  test("says that there is no daemon where there is none", async () => {
    using client = WarderClient.connect({ socket: "/nonexistent/warder.sock" });
    assert.equal(await codeOf(client.host.describe()), "daemon-unreachable");
  });

  test("makes, lists and revokes tokens", async (context) => {
    const { client } = await open(context);
    const { token, secret } = await client.access.createToken({ name: "ci", tenant: "acme", role: "operate" });
    assert.match(secret, /^warder_/);
    assert.deepEqual(await client.access.listTokens(), [token]);
    await client.access.revokeToken(token.id);
    assert.equal(await codeOf(client.access.revokeToken(token.id)), "token-not-found");
  });
});

describe("a vsock over the wire", () => {
  async function connect(context: TestContext) {
    const { client, host } = await open(context);
    return { vm: await client.create({ kernel: "probe" }), host };
  }

  test("carries bytes both ways, more than any buffer holds, and ends with the guest", async (context) => {
    const { vm, host } = await connect(context);
    const stream = await vm.vsock.connect(52, { halfClose: "pass", timeoutMs: 5_000 });
    assert.deepEqual(host.connections, [{ port: 52, halfClose: "pass", timeoutMs: 5_000 }]);
    const sent = Buffer.alloc(8 * 1024 * 1024, "0123456789abcdef!");
    const received = buffer(stream);
    for (let at = 0; at < sent.length; at += 65_536) {
      if (!stream.write(sent.subarray(at, at + 65_536))) await once(stream, "drain");
    }
    stream.end();
    assert.ok((await received).equals(sent));
  });

  test("stays open where the caller's side ends and that is not to be passed on", async (context) => {
    const { vm } = await connect(context);
    const stream = await vm.vsock.connect(52);
    stream.end("last words");
    const [chunk] = await once(stream, "data");
    assert.equal(String(chunk), "last words");
    assert.equal(stream.readableEnded, false);
    stream.destroy();
  });

  test("is waited for, where the guest is to call", async (context) => {
    const { vm, host } = await connect(context);
    const stream = await vm.vsock.accept(52, { halfClose: "pass" });
    assert.deepEqual(host.connections, [{ port: 52, listen: true }]);
    const received = buffer(stream);
    stream.end("hello");
    assert.equal((await received).toString(), "hello");
    assert.equal(await codeOf(vm.vsock.accept(2, { timeoutMs: 50 })), "deadline-exceeded");
    const gaveUp = AbortSignal.timeout(50);
    assert.equal(await codeOf(vm.vsock.accept(2, { signal: gaveUp })), "deadline-exceeded");
  });

  test("is refused as the library refuses it", async (context) => {
    const { vm } = await connect(context);
    assert.equal(await codeOf(vm.vsock.connect(1)), "vsock-refused");
    assert.equal(await codeOf(vm.vsock.connect(1, { signal: AbortSignal.abort() })), "aborted");
  });
});

describe("over TLS", () => {
  /** A daemon that believes one authority's callers. */
  async function openTls(context: TestContext, tokens: Readonly<Record<string, Caller>> = {}) {
    const daemonCa = makeAuthority(context, "daemons");
    const callers = makeAuthority(context, "callers");
    const own = daemonCa.sign("/CN=warder");
    const tls = { cert: own.cert, key: own.key, ca: callers.cert, requestCert: true, rejectUnauthorized: false };
    const door = { kind: "tls", address: "127.0.0.1", port: 0, tls } as const;
    const { port, host } = await serveOnLoopback(context, { door, tokens });
    const connect = (options: { pair?: Pair; token?: string; ca?: string } = {}) => {
      const client = WarderClient.connect({
        url: `https://localhost:${port}`,
        tls: {
          ca: options.ca ?? daemonCa.cert,
          ...(options.pair === undefined ? {} : { cert: options.pair.cert, key: options.pair.key }),
        },
        ...(options.token === undefined ? {} : { token: options.token }),
      });
      context.after(() => client[Symbol.dispose]());
      return client;
    };
    return { callers, connect, host, port };
  }

  test("a caller is known by its certificate: tenant, role and name", async (context) => {
    const { callers, connect } = await openTls(context);
    const client = connect({ pair: callers.sign("/CN=deployer/O=acme/OU=operate") });
    assert.deepEqual((await client.host.describe()).caller, { name: "deployer", tenant: "acme", role: "operate" });
    const ops = connect({ pair: callers.sign("/CN=ops/O=*/OU=admin") });
    assert.deepEqual((await ops.host.describe()).caller, { name: "ops", role: "admin" });
  });

  test("a certificate that names no caller, or is another authority's, is worth nothing", async (context) => {
    const { callers, connect } = await openTls(context);
    const stranger = makeAuthority(context, "strangers");
    for (const pair of [
      callers.sign("/CN=deployer/O=acme/OU=root"),
      callers.sign("/CN=deployer"),
      stranger.sign("/CN=deployer/O=acme/OU=admin"),
    ]) {
      assert.equal(await codeOf(connect({ pair }).host.describe()), "unauthenticated");
    }
  });

  test("a token is worth the same there, and goes before a certificate", async (context) => {
    const caller: Caller = { name: "ci", key: "token:1", role: "read", tenant: "acme" as Tenant };
    const { callers, connect } = await openTls(context, { secret: caller });
    const expected = { name: "ci", tenant: "acme", role: "read" };
    assert.deepEqual((await connect({ token: "secret" }).host.describe()).caller, expected);
    const both = connect({ token: "secret", pair: callers.sign("/CN=ops/O=*/OU=admin") });
    assert.deepEqual((await both.host.describe()).caller, expected);
    assert.equal(await codeOf(connect({ token: "wrong" }).host.describe()), "unauthenticated");
  });

  test("nobody comes in without either, though the connection is local", async (context) => {
    const { connect } = await openTls(context);
    assert.equal(await codeOf(connect().host.describe()), "unauthenticated");
  });

  test("a daemon that the client does not know is not talked to", async (context) => {
    const { connect } = await openTls(context);
    const other = makeAuthority(context, "others");
    assert.notEqual(await codeOf(connect({ ca: other.cert, token: "secret" }).host.describe()), "unauthenticated");
  });
});
