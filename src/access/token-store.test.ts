import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import fc from "fast-check";
import { isWarderError } from "../vm/error.ts";
import { parseToken } from "./token.ts";
import { TokenStore } from "./token-store.ts";

function open(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "warder-tokens-"));
  const clock = { now: 1_000_000 };
  const path = join(directory, "access.db");
  const store = TokenStore.open(path, () => clock.now);
  context.after(() => {
    store[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });
  return { store, clock, path, directory };
}

const request = { name: "ci", tenant: "acme", role: "operate" };

describe("a token", () => {
  test("names its bearer", (context) => {
    const { store } = open(context);
    const { token, secret } = store.create(request);
    assert.deepEqual(store.authenticate(secret), {
      name: "ci",
      key: `token:${token.id}`,
      tokenId: token.id,
      tenant: "acme",
      role: "operate",
    });
    assert.match(secret, /^warder_[0-9a-f]{16}_[0-9a-f]{64}$/);
  });

  test("without a tenant is of all tenants", (context) => {
    const { store } = open(context);
    const { secret } = store.create({ name: "ops", role: "admin" });
    assert.equal(store.authenticate(secret)?.tenant, undefined);
  });

  test("is kept nowhere", (context) => {
    const { store, path } = open(context);
    const { secret } = store.create(request);
    const kept = readFileSync(path).toString("latin1");
    const own = parseToken(secret)?.secret ?? assert.fail("no token");
    assert.ok(!kept.includes(own) && !kept.includes(Buffer.from(own, "hex").toString("latin1")));
  });

  test("is worth nothing with another secret, cut short, or as anything else", (context) => {
    const { store } = open(context);
    const { secret } = store.create(request);
    const { secret: other } = store.create(request);
    const mixed = `${secret.slice(0, 24)}${other.slice(24)}`;
    for (const wrong of [mixed, secret.slice(0, -1), `${secret}0`, secret.toUpperCase(), `${secret}\n`, ""]) {
      assert.equal(store.authenticate(wrong), undefined, wrong);
    }
    fc.assert(fc.property(fc.string(), (text) => assert.equal(store.authenticate(text), undefined)));
  });

  test("is worth nothing once it is revoked, for another process too", (context) => {
    const { store, path } = open(context);
    const { token, secret } = store.create(request);
    using other = TokenStore.open(path, () => 0);
    other.revoke(token.id);
    assert.equal(store.authenticate(secret), undefined);
    assert.equal(store.isWorth(token.id), false);
    assert.throws(() => store.revoke(token.id), { code: "token-not-found" });
  });

  test("is worth nothing from the moment at which it expires", (context) => {
    const { store, clock } = open(context);
    const { token, secret } = store.create({ ...request, lifetimeMs: 1000 });
    clock.now += 999;
    assert.ok(store.authenticate(secret));
    clock.now += 1;
    assert.equal(store.authenticate(secret), undefined);
    assert.equal(store.isWorth(token.id), false);
  });

  test("remembers when it was used, to the minute", (context) => {
    const { store, clock } = open(context);
    const { secret } = store.create(request);
    const lastUsed = () => store.list()[0]?.lastUsedAt;
    assert.equal(lastUsed(), undefined);
    store.authenticate(secret);
    clock.now += 59_999;
    store.authenticate(secret);
    assert.equal(lastUsed(), 1_000_000);
    clock.now += 1;
    store.authenticate(secret);
    assert.equal(lastUsed(), 1_060_000);
  });
});

test("tokens are listed oldest first, without their secrets", (context) => {
  const { store, clock } = open(context);
  for (const name of ["a", "b", "c"]) {
    store.create({ ...request, name });
    clock.now++;
  }
  assert.deepEqual(
    store.list().map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.ok(!JSON.stringify(store.list()).includes("hash"));
});

test("a token that can not be is refused with everything that is wrong with it", (context) => {
  const { store } = open(context);
  try {
    store.create({ name: "a\n", tenant: "/", role: "root", lifetimeMs: 0 });
    assert.fail("it was made");
  } catch (error) {
    assert.ok(isWarderError(error));
    assert.deepEqual(
      error.fields.map(({ field }) => field),
      ["name", "tenant", "role", "lifetime"],
    );
  }
});

test("a file that is no database is refused with its name", (context) => {
  const { directory } = open(context);
  assert.throws(() => TokenStore.open(directory, () => 0), { code: "store-failed", message: new RegExp(directory) });
});
