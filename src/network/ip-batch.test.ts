import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { anyNetwork, networkOf } from "../../test/support/network-plans.ts";
import { toVmId } from "../vm/id.ts";
import { hostBatch, insideBatch, insideIpv6Batch } from "./ip-batch.ts";
import { insideSettings, outsideSettings } from "./sysctls.ts";

const owner = { uid: 500_000, gid: 500_001 };
const id = toVmId("vm-1");

describe("the commands for `ip`", () => {
  test("are words of letters, digits, dots, colons, slashes and hyphens, whatever the VM", () =>
    fc.assert(
      fc.property(anyNetwork, ({ id, network }) => {
        const { namespace } = network;
        assert.ok(namespace !== undefined);
        const texts = [hostBatch(id, namespace, network), insideBatch(id, network, owner), insideIpv6Batch(network)];
        for (const line of texts.join("").split("\n").slice(0, -1)) {
          assert.match(line, /^(netns|link|tuntap|addr|neigh|route|rule) (add|set|del) [A-Za-z0-9_.:/ -]+$/);
          // A word with a hyphen before it would be an option.
          assert.doesNotMatch(line, / -|undefined|null|NaN|\[object/);
        }
        const settings = [...insideSettings(network), ...network.interfaces.flatMap(outsideSettings)];
        for (const { file, value } of settings) assert.match(`${file} ${value}`, /^ipv[46]\/[a-z0-9_/-]+ [01]$/);
      }),
    ));

  test("make every device in the namespace for the jail's user alone", () =>
    fc.assert(
      fc.property(anyNetwork, ({ id, network }) => {
        const lines = insideBatch(id, network, owner).split("\n");
        for (const { tap } of network.interfaces)
          assert.ok(lines.includes(`tuntap add dev ${tap} mode tap user 500000 group 500001`));
      }),
    ));

  test("put nothing on the host but the namespace, the ends of cables, and the ways to the VM", () => {
    const network = networkOf(["egress"], { ipv6: false });
    assert.ok(network.namespace !== undefined);
    const [eth0] = network.interfaces;
    const uplink = eth0?.uplink;
    assert.ok(uplink?.kind === "routed");
    assert.deepEqual(hostBatch(id, network.namespace, network).split("\n"), [
      "netns add fc-vm-1",
      `link add name ${uplink.outside} address ${uplink.outsideMac} type veth peer name veth0 address ${uplink.insideMac} netns fc-vm-1`,
      `link set dev ${uplink.outside} alias warder/vm-1/eth0 up`,
      `neigh add ${eth0?.ipv4?.address} lladdr ${uplink.insideMac} dev ${uplink.outside} nud permanent`,
      `route add ${eth0?.ipv4?.address} dev ${uplink.outside}`,
      "",
    ]);
  });

  test("keep VMs on a bridge of the host from each other, and those of one network not", () => {
    const batchOf = (input: string) => {
      const network = networkOf([input]);
      assert.ok(network.namespace !== undefined);
      return hostBatch(id, network.namespace, network);
    };
    assert.match(batchOf("bridge=br0"), /type bridge_slave isolated on/);
    assert.match(batchOf("bridge=br0"), /master br0 up/);
    assert.doesNotMatch(batchOf("network=blue"), /isolated/);
  });

  test("need routing rules only where there is more than one way", () => {
    assert.doesNotMatch(insideBatch(id, networkOf(["egress"]), owner), /rule|table/);
    assert.match(insideBatch(id, networkOf(["network=blue"]), owner), /rule add pref 10 iif veth0 lookup 100/);
    assert.equal(insideIpv6Batch(networkOf(["network=blue"])), "");
    assert.match(
      insideIpv6Batch(networkOf(["egress", "network=blue"])),
      /rule add pref 30 iif tap-[0-9a-f]{8} lookup 201/,
    );
    assert.equal(insideIpv6Batch(networkOf(["egress", "network=blue"], { ipv6: false })), "");
  });

  test("of a VM with nothing are a namespace with its loopback device", () => {
    const network = networkOf([]);
    assert.ok(network.namespace !== undefined);
    assert.equal(hostBatch(id, network.namespace, network), "netns add fc-vm-1\n");
    assert.equal(insideBatch(id, network, owner), "link set dev lo up\n");
    assert.deepEqual(insideSettings(network), []);
  });
});

describe("the kernel's settings", () => {
  test("forward nothing where there is no way out", () =>
    assert.deepEqual(insideSettings(networkOf(["isolated"])), []));
  test("let the host route to its loopback addresses only where a port is published there", () => {
    const files = (publish: string[]) =>
      networkOf([{ mode: "isolated", publish, allow: ["10.0.0.1"] }])
        .interfaces.flatMap(outsideSettings)
        .map(({ file }) => file.split("/").at(-1));
    assert.ok(!files([]).includes("route_localnet"));
    assert.ok(!files(["192.0.2.1:80:80"]).includes("route_localnet"));
    assert.ok(files(["80:80"]).includes("route_localnet"));
    assert.ok(files(["127.0.0.1:80:80"]).includes("route_localnet"));
    assert.ok(files([]).includes("rp_filter"));
  });
});
