import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { contextOn } from "../../test/support/doctor-context.ts";
import { networkOf } from "../../test/support/network-plans.ts";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import { toCidr } from "../vm/network/cidr.ts";
import { type NetworkInput, type NetworkSpec, networksSchema } from "../vm/network/spec.ts";
import {
  conflictingRoute,
  decideIpv6,
  parseListeners,
  parseRoutes,
  readForwarding,
  refuseBusyPorts,
  refuseConflicts,
} from "./host-facts.ts";

const specOf = (input: NetworkInput): NetworkSpec => networksSchema.parse([input])[0] as NetworkSpec;
const code = (expected: string) => (error: unknown) => isWarderError(error) && error.code === expected;
const all = { ipv4: true, ipv6: true, hasIpv6: true };

const ROUTES = [
  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
  "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
  "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
  "wrd-0b1c2d3e\t0200640A\t00000000\t0001\t0\t0\t0\tFFFFFFFF\t0\t0\t0",
].join("\n");
const LISTENERS = [
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
  "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0",
  "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0",
  "   2: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0",
].join("\n");

describe("what the host forwards", () => {
  test("is read from its kernel", (t) => {
    const files = {
      "proc/sys/net/ipv4/ip_forward": "1\n",
      "proc/sys/net/ipv6/conf/all/forwarding": "0\n",
      "proc/sys/net/ipv6/conf/all/disable_ipv6": "0\n",
    };
    assert.deepEqual(readForwarding(contextOn(t, { files }).host), { ipv4: true, ipv6: false, hasIpv6: true });
    assert.deepEqual(readForwarding(contextOn(t).host), { ipv4: false, ipv6: false, hasIpv6: false });
  });

  test("decides on IPv6, where the caller says nothing", () => {
    assert.equal(decideIpv6(specOf("egress"), all), true);
    assert.equal(decideIpv6(specOf("egress"), { ...all, ipv6: false }), false);
    assert.equal(decideIpv6(specOf("network=blue"), { ...all, ipv4: false, ipv6: false }), true);
    assert.equal(decideIpv6(specOf("isolated"), { ipv4: false, ipv6: false, hasIpv6: false }), false);
    assert.equal(decideIpv6(specOf({ mode: "egress", ipv6: false }), all), false);
  });

  test("is refused where the caller needs more, with the setting that is off", () => {
    const needs = (input: NetworkInput, facts: typeof all) => () => decideIpv6(specOf(input), facts);
    for (const input of [
      "egress",
      { mode: "isolated", allow: ["10.0.0.1"] },
      { mode: "isolated", publish: ["80:80"] },
    ] as NetworkInput[])
      assert.throws(needs(input, { ...all, ipv4: false }), /net\.ipv4\.ip_forward is 0/);
    const withIpv6 = { mode: "egress" as const, ipv6: true };
    assert.throws(needs(withIpv6, { ...all, ipv6: false }), /net\.ipv6\.conf\.all\.forwarding is 0/);
    assert.throws(needs(withIpv6, { ...all, hasIpv6: false }), /the host has none/);
  });

  test("matters not where nothing leaves the host", () => {
    const none = { ipv4: false, ipv6: false, hasIpv6: true };
    for (const input of [
      "isolated",
      { mode: "isolated", publish: ["127.0.0.1:80:80"] },
      { mode: "isolated", allow: ["host:3128"] },
    ] as NetworkInput[])
      assert.doesNotThrow(() => decideIpv6(specOf(input), none));
  });
});

describe("routes of the host", () => {
  test("are read as the kernel writes them", () =>
    assert.deepEqual(
      parseRoutes(ROUTES).map(({ text }) => text),
      ["0.0.0.0/0 by eth0", "192.168.2.0/24 by eth0", "10.100.0.2/32 by wrd-0b1c2d3e"],
    ));

  test("are in the way of VMs' addresses where they lead there, but for the default and VMs' own", (t) => {
    const { host } = contextOn(t, { files: { "proc/net/route": ROUTES } });
    assert.equal(conflictingRoute(host, toCidr("10.100.0.0/17")), undefined);
    assert.equal(conflictingRoute(host, toCidr("192.168.0.0/17")), "192.168.2.0/24 by eth0");
    assert.throws(() => refuseConflicts(host, [specOf("egress")], toCidr("192.168.0.0/17")), code("address-taken"));
    assert.doesNotThrow(() => refuseConflicts(host, [specOf("isolated")], toCidr("192.168.0.0/17")));
    assert.equal(conflictingRoute(contextOn(t).host, toCidr("10.0.0.0/8")), undefined);
  });
});

describe("ports of the host", () => {
  test("on which a program listens are known with their addresses", () =>
    assert.deepEqual(parseListeners("tcp", LISTENERS), [
      { protocol: "tcp", port: 8080, address: "127.0.0.1" },
      { protocol: "tcp", port: 22 },
    ]));

  test("are not published over it", (t) => {
    const { host } = contextOn(t, { files: { "proc/net/tcp": LISTENERS } });
    const publish = (text: string) => () =>
      refuseBusyPorts(host, toVmId("vm-1"), networkOf([{ mode: "isolated", publish: [text] }]));
    for (const text of ["8080:80", "127.0.0.1:8080:80", "22:22", "192.0.2.7:22:22"])
      assert.throws(publish(text), code("address-taken"), text);
    for (const text of ["192.0.2.7:8080:80", "8081:80", "8080:80/udp"]) assert.doesNotThrow(publish(text), text);
  });
});
