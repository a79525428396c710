import assert from "node:assert/strict";
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
    assert.equal(await codeOf(vm.start({ signal: AbortSignal.timeout(50) })), "aborted");
    assert.match(await cut.promise, /the caller gave it up/);
    assert.equal(await codeOf(vm.start({ timeoutMs: 50 })), "deadline-exceeded");
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
