import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { contextOn } from "../../../test/support/doctor-context.ts";
import { networkOf } from "../../../test/support/network-plans.ts";
import { isWarderError } from "../../vm/error.ts";
import { toVmId } from "../../vm/id.ts";
import type { VmInterface } from "../../vm/network/vm-network.ts";
import { addCni, deleteCni } from "./chain.ts";
import { parseCniConfig, readCniConfig } from "./config.ts";
import { redirectBatch } from "./redirect.ts";
import { readCniResult } from "./result.ts";

const failed = (error: unknown) => isWarderError(error) && error.code === "cni-failed";
const list = { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "one" }, { type: "two", colour: "red" }] };

/** A directory with a configuration, and plugins that are scripts. */
function placesIn(directory: string, plugins: Readonly<Record<string, string>>) {
  for (const part of ["net.d", "bin"]) mkdirSync(`${directory}/${part}`);
  writeFileSync(`${directory}/net.d/10-lan.conflist`, JSON.stringify(list));
  writeFileSync(`${directory}/net.d/00-broken.conf`, "{");
  for (const [name, script] of Object.entries(plugins))
    writeFileSync(`${directory}/bin/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { config: `${directory}/net.d`, plugins: [`${directory}/bin`] };
}

describe("the CNI configuration", () => {
  test("is found by the network's name, past files that are none", (t) => {
    const { host, directory } = contextOn(t);
    const places = placesIn(directory, { one: "", two: "" });
    assert.deepEqual(readCniConfig(host, "lan", places), list);
    assert.throws(() => readCniConfig(host, "wan", places), failed);
    assert.throws(() => readCniConfig(host, "lan", { ...places, config: "/nowhere" }), failed);
  });

  test("is refused where a plugin is not installed", (t) => {
    const { host, directory } = contextOn(t);
    assert.throws(() => readCniConfig(host, "lan", placesIn(directory, { one: "" })), /CNI plugin two/);
  });

  test("may be of one plugin, and names no path for one", () => {
    assert.deepEqual(parseCniConfig('{"name": "a", "type": "ptp", "mtu": 1400}'), {
      cniVersion: "0.4.0",
      name: "a",
      plugins: [{ type: "ptp", mtu: 1400 }],
    });
    assert.equal(parseCniConfig('{"name": "a", "type": "../../bin/sh"}'), undefined);
    fc.assert(fc.property(fc.string(), (text) => void parseCniConfig(text)));
  });
});

describe("plugins", () => {
  const callOn = (t: Parameters<typeof contextOn>[0], plugins: Readonly<Record<string, string>>) => {
    const { host, directory } = contextOn(t);
    const places = placesIn(directory, plugins);
    const id = toVmId("vm-1");
    const uplink = { kind: "cni" as const, network: "lan", inside: "eth0" as never, config: list };
    const namespace = { name: "fc-vm-1", path: "/run/netns/fc-vm-1" as never };
    return { host, directory, call: { id, namespace, uplink, places } };
  };
  const say =
    'echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME" >> $(dirname $0)/log; cat >> $(dirname $0)/log; echo >> $(dirname $0)/log';

  test("run in their order with the result of those before, and backwards to take it back", async (t) => {
    const { host, directory, call } = callOn(t, { one: `${say}; echo '{"n": 1}'`, two: `${say}; echo '{"n": 2}'` });
    assert.deepEqual(await addCni(host, call, {}), { n: 2 });
    await deleteCni(host, { ...call, uplink: { ...call.uplink, result: { n: 2 } } }, {});
    const log = host.files.readText(`${directory}/bin/log`).split("\n");
    const own = "fc-vm-1 /run/netns/fc-vm-1 eth0";
    assert.deepEqual(log.filter((_line, index) => index % 2 === 0).slice(0, 4), [
      `ADD ${own}`,
      `ADD ${own}`,
      `DEL ${own}`,
      `DEL ${own}`,
    ]);
    const configs = log.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    assert.deepEqual(
      configs.map(({ type, prevResult }) => [type, prevResult?.n]),
      [
        ["one", undefined],
        ["two", 1],
        ["two", 2],
        ["one", 2],
      ],
    );
    assert.deepEqual([configs[1].colour, configs[1].name, configs[1].cniVersion], ["red", "lan", "1.0.0"]);
  });

  test("that fail are told in their own words, and the others are asked to take theirs back even so", async (t) => {
    const { host, directory, call } = callOn(t, {
      one: `${say}; echo '{"n": 1}'`,
      two: `echo '{"code": 7, "msg": "no room", "details": "none at all"}'; exit 1`,
    });
    await assert.rejects(
      addCni(host, call, {}),
      (error) => failed(error) && /plugin two \(ADD\).*no room: none at all/.test(String(error)),
    );
    await assert.rejects(deleteCni(host, call, {}), failed);
    assert.match(host.files.readText(`${directory}/bin/log`), /DEL/);
  });

  test("that print something else, or are given up, end the call", async (t) => {
    const { host, call } = callOn(t, { one: "echo nonsense", two: "" });
    await assert.rejects(addCni(host, call, {}), /is no JSON/);
    await assert.rejects(addCni(host, call, { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});

describe("what plugins say", () => {
  const said = {
    interfaces: [
      { name: "cni0", mac: "0a:00:00:00:00:01" },
      { name: "eth0", mac: "0A:00:00:00:00:02", sandbox: "/run/netns/x" },
    ],
    ips: [
      { address: "10.22.0.5/16", gateway: "10.22.0.1", interface: 1 },
      { address: "fd00:22::5/64", interface: 1 },
      { address: "10.99.0.1/16", interface: 0 },
    ],
  };
  test("is what the guest is to be", () =>
    assert.deepEqual(readCniResult(said, "eth0"), {
      mac: "0a:00:00:00:00:02",
      ipv4: { address: "10.22.0.5", prefixLength: 16, gateway: "10.22.0.1" },
      ipv6: { address: "fd00:22::5", prefixLength: 64 },
    }));
  test("is refused without an interface, with an address that is none, and never throws anything else", () => {
    assert.throws(() => readCniResult({}, "eth0"), RangeError);
    assert.throws(
      () => readCniResult({ ...said, ips: [{ address: "10.0.0.1; rm", interface: 1 }] }, "eth0"),
      RangeError,
    );
    fc.assert(fc.property(fc.anything(), (printed) => assert.throws(() => readCniResult(printed, "eth0"), RangeError)));
  });
});

describe("the way over to what plugins made", () => {
  const planned = networkOf(["cni=lan"]).interfaces[0] as VmInterface;
  const joined = {
    ...planned,
    ipv4: { address: "10.22.0.5" as never, prefixLength: 16 },
    ipv6: { address: "fd00::5" as never, prefixLength: 64 },
  };
  test("is open from the guest to what it sends in its own name alone", () => {
    const lines = redirectBatch(joined).split("\n");
    const out = lines.filter((line) => line.startsWith(`filter add dev ${planned.tap}`));
    assert.ok(out.every((line) => line.includes(`match ether src ${planned.mac}`)));
    assert.ok(out.some((line) => line.includes("match ip src 10.22.0.5/32")));
    assert.ok(out.some((line) => line.includes("match u16 2582 0xffff at 14 match u16 5 0xffff at 16")));
    assert.ok(out.some((line) => line.includes("match ip6 src fd00::5/128")));
    assert.ok(!out.some((line) => line.includes("protocol all")));
  });
  test("is for CNI networks only", () =>
    assert.throws(() => redirectBatch(networkOf(["egress"]).interfaces[0] as VmInterface), TypeError));
});
