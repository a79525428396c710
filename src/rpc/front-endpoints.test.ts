import assert from "node:assert/strict";
import { test } from "node:test";
import { serveOnLoopback } from "../../test/support/rpc/on-loopback.ts";

async function statusOf(url: string, path: string): Promise<number> {
  return (await fetch(`${url}${path}`)).status;
}

test("callers of this machine get metrics", async (context) => {
  const { url } = await serveOnLoopback(context);
  assert.equal(await statusOf(url, "/metrics"), 200);
});

test("callers over the network get none, which name the VMs of all tenants, but learn whether the daemon lives", async (context) => {
  const { url } = await serveOnLoopback(context, { takenFor: "tls" });
  assert.equal(await statusOf(url, "/metrics"), 404);
  assert.equal(await statusOf(url, "/health"), 200);
});
