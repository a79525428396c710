import assert from "node:assert/strict";
import { test } from "node:test";
import { contextOn, runCheck } from "../../../test/support/doctor-context.ts";
import { networkChecks, parseForwardDrops } from "./network.ts";

const forwarding = (ipv4: string, ipv6: string) => ({
  "proc/sys/net/ipv4/ip_forward": `${ipv4}\n`,
  "proc/sys/net/ipv6/conf/all/forwarding": `${ipv6}\n`,
});

test("a host that forwards no packets is told, by protocol", async (t) => {
  const look = (files: Record<string, string>) => runCheck(networkChecks, "ip-forwarding", contextOn(t, { files }));
  assert.equal((await look(forwarding("1", "1"))).status, "ok");
  assert.equal((await look(forwarding("0", "1"))).found, "off for IPv4");
  assert.equal((await look(forwarding("0", "0"))).found, "off for IPv4 and IPv6");
  assert.equal((await look({})).status, "warning");
});

test("a reverse path filter that is loose for all is told", async (t) => {
  const look = (value: string) =>
    runCheck(
      networkChecks,
      "reverse-path-filter",
      contextOn(t, { files: { "proc/sys/net/ipv4/conf/all/rp_filter": value } }),
    );
  assert.equal((await look("2\n")).status, "warning");
  assert.equal((await look("1\n")).status, "ok");
  assert.equal((await look("0\n")).status, "ok");
  assert.equal((await runCheck(networkChecks, "reverse-path-filter", contextOn(t))).status, "skipped");
});

test("a route of the host into the pool is told", async (t) => {
  const deps = { conflictingRoute: () => "10.100.5.0/24 by eth0" };
  const found = await runCheck(networkChecks, "address-pool", contextOn(t, { deps }));
  assert.deepEqual([found.status, found.found], ["warning", "the host has a route there: 10.100.5.0/24 by eth0"]);
  assert.equal((await runCheck(networkChecks, "address-pool", contextOn(t))).status, "ok");
});

test("chains of others that drop forwarded packets are found among all", () => {
  const chain = (table: string, more: object) => ({ chain: { family: "ip", table, name: "FORWARD", ...more } });
  const nftables = [
    { metainfo: {} },
    chain("filter", { hook: "forward", policy: "drop" }),
    chain("other", { hook: "forward", policy: "accept" }),
    chain("input", { hook: "input", policy: "drop" }),
    chain("warder", { hook: "forward", policy: "drop" }),
  ];
  assert.deepEqual(parseForwardDrops(JSON.stringify({ nftables })), ["ip filter FORWARD"]);
  assert.deepEqual(parseForwardDrops("{}"), []);
});

test("what has no tool to try it with is not tried", async (t) => {
  const context = contextOn(t, { missingTools: ["unshare", "nft"] });
  assert.equal((await runCheck(networkChecks, "network-devices", context)).status, "skipped");
  assert.equal((await runCheck(networkChecks, "netns", context)).status, "skipped");
  assert.equal((await runCheck(networkChecks, "packet-filter", context)).found, "nft is not installed");
  assert.equal((await runCheck(networkChecks, "forward-policy", context)).status, "skipped");
});
