import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { anyId, anyNetwork, MemoryLeases, networkOf, plan, testPools } from "../../test/support/network-plans.ts";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import { toAddress } from "../vm/network/address.ts";
import { contains } from "../vm/network/cidr.ts";
import { INTERFACE_NAME_MAX_BYTES } from "../vm/network/names.ts";
import { networksSchema } from "../vm/network/spec.ts";
import type { VmNetwork } from "../vm/network/vm-network.ts";
import { allocateNetwork } from "./allocate.ts";
import { interfaceNumber } from "./numbers.ts";

/** Everything of a network that must be nobody else's. */
const ownOf = ({ namespace, interfaces }: VmNetwork) => [
  ...(namespace === undefined ? [] : [namespace.name]),
  ...interfaces.flatMap(({ tap, mac, ipv4, ipv6, uplink }) =>
    [
      tap,
      mac,
      ipv4?.address,
      ipv6?.address,
      ...(uplink !== undefined && "outside" in uplink ? [uplink.outside, uplink.outsideMac, uplink.insideMac] : []),
    ].filter((each) => each !== undefined),
  ),
];

describe("allocateNetwork()", () => {
  test("gives no name, hardware address or address twice, whatever VMs there are", () =>
    fc.assert(
      fc.property(fc.uniqueArray(anyId, { minLength: 1, maxLength: 30 }), (ids) => {
        const leases = new MemoryLeases(toVmId("x"));
        const own = ids.flatMap((id) =>
          ownOf(networkOf(["egress", "network=blue", "bridge=br0"], { id, leases: leases.of(id) })),
        );
        assert.equal(new Set(own).size, own.length);
      }),
    ));

  test("gives names that fit, and the same hardware address at every start", () =>
    fc.assert(
      fc.property(anyNetwork, ({ id, network }) => {
        for (const { tap, uplink } of network.interfaces) {
          assert.ok(tap.length <= INTERFACE_NAME_MAX_BYTES);
          if (uplink !== undefined) assert.ok(uplink.inside.length <= INTERFACE_NAME_MAX_BYTES);
        }
        const again = networkOf(["egress"], { id });
        assert.equal(again.interfaces[0]?.mac, networkOf(["egress"], { id }).interfaces[0]?.mac);
      }),
    ));

  test("takes another number where two ids have the same", () => {
    const id = toVmId("vm-1");
    const leases = new MemoryLeases(id);
    leases.claim("interface", interfaceNumber(id, 0));
    const number = interfaceNumber(id, 0, 1).toString(16).padStart(8, "0");
    assert.equal(networkOf(["isolated"], { leases }).interfaces[0]?.tap, `tap-${number}`);
    for (let attempt = 1; attempt < 4; attempt++) leases.claim("interface", interfaceNumber(id, 0, attempt));
    assert.throws(
      () => networkOf(["isolated"], { leases }),
      (error) => isWarderError(error) && error.code === "network-name-taken",
    );
  });

  test("keeps VMs on their own and networks of VMs in subnets apart", () => {
    const network = networkOf(["egress", "network=blue"]);
    const [alone, blue] = network.interfaces.map(({ ipv4 }) => ipv4);
    assert.deepEqual([alone?.prefixLength, blue?.prefixLength], [17, 24]);
    assert.deepEqual([alone?.gateway, blue?.gateway], ["10.100.0.1", undefined]);
    const uplink = network.interfaces[1]?.uplink;
    assert.ok(
      uplink?.kind === "bridged" &&
        uplink.subnets.every((subnet) => !contains(subnet, toAddress(alone?.address ?? ""))),
    );
  });

  test("says so when a pool is full", () => {
    const id = toVmId("vm-1");
    const full = { lease: () => undefined, claim: () => true };
    assert.throws(
      () => networkOf(["egress"], { id, leases: full }),
      (error) =>
        isWarderError(error) &&
        error.code === "addresses-exhausted" &&
        /WARDER_NETWORK_IPV4_POOL/.test(error.cure ?? ""),
    );
  });

  test("makes a namespace for no interface at all, and none for the caller's own devices", () => {
    assert.deepEqual(networkOf([]), { namespace: { name: "fc-vm-1", path: "/run/netns/fc-vm-1" }, interfaces: [] });
    const own = networkOf(["tap=mine"]);
    assert.equal(own.namespace, undefined);
    assert.deepEqual(
      [own.interfaces[0]?.tap, own.interfaces[0]?.policy, own.interfaces[0]?.uplink],
      ["mine", undefined, undefined],
    );
  });

  test("leads nowhere where nothing was opened", () => {
    assert.equal(networkOf(["isolated"]).interfaces[0]?.uplink, undefined);
    assert.equal(networkOf([{ mode: "isolated", allow: ["10.0.0.1"] }]).interfaces[0]?.uplink?.kind, "routed");
  });

  test("finds a port of the host where none was named, and says so where one is another VM's, or all are", () => {
    const leases = new MemoryLeases(toVmId("vm-1"));
    const portsOf = (publish: string[]) =>
      networkOf([{ mode: "isolated", publish }], { leases }).interfaces[0]?.policy?.published.map(
        ({ hostPort }) => hostPort,
      );
    const again = () => leases.taken.delete(`interface ${interfaceNumber(toVmId("vm-1"), 0)}`);
    assert.deepEqual(portsOf(["80", "443", "8080:80", "53/udp"]), [20_000, 20_001, 8080, 20_000]);
    again();
    const isTaken = (error: unknown) => isWarderError(error) && error.code === "address-taken";
    assert.throws(() => portsOf(["127.0.0.1:8080:80"]), isTaken);
    again();
    for (let port = 20_000; port < 20_100; port++) leases.claim("host-port", `tcp:${port}`);
    assert.throws(() => portsOf(["80"]), isTaken);
    again();
    assert.deepEqual(
      networkOf([{ mode: "bridge", bridge: "br0", publish: ["80"] }], { leases }).interfaces[0]?.policy?.published,
      [{ guestPort: 80, hostPort: 80, protocol: "tcp" }],
    );
  });

  test("hands a CNI network over to its plugins", () => {
    const [eth0] = networkOf(["cni=lan"]).interfaces;
    assert.deepEqual(eth0?.uplink, {
      kind: "cni",
      network: "lan",
      inside: "eth0",
      config: { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "bridge" }] },
    });
    assert.equal(eth0?.ipv4, undefined);
  });
});

describe("an address on a bridge of the host", () => {
  const bridged = (
    input: object,
    own: readonly string[] = ["192.168.7.1/24"],
    leases = new MemoryLeases(toVmId("vm-1")),
  ) => {
    const [spec] = networksSchema.parse([{ mode: "bridge", bridge: "br0", ...input }]);
    assert.ok(spec !== undefined);
    const addresses = own.map((text) => ({
      address: toAddress(text.split("/")[0] ?? ""),
      prefixLength: Number(text.split("/")[1]),
    }));
    const hostAddresses = addresses.map(({ address }) => address);
    const planned = { ...plan(spec), bridge: { addresses, hostAddresses } };
    return allocateNetwork({
      id: toVmId("vm-1"),
      pools: testPools,
      leases,
      hostPorts: { first: 1, count: 1 },
      interfaces: [planned],
    }).interfaces[0];
  };

  test("is leased from the bridge's network, past the bridge's own, which is the gateway", () =>
    assert.deepEqual(bridged({})?.ipv4, { address: "192.168.7.2", prefixLength: 24, gateway: "192.168.7.1" }));

  test("is the caller's, with the caller's gateway", () => {
    const given = bridged(
      { address: "10.1.0.9/16", gateway: "10.1.0.1", address6: "fd00:7::9/64", gateway6: "fd00:7::1" },
      [],
    );
    assert.deepEqual(given?.ipv4, { address: "10.1.0.9", prefixLength: 16, gateway: "10.1.0.1" });
    assert.deepEqual(given?.ipv6, { address: "fd00:7::9", prefixLength: 128, gateway: "fe80::1" });
    assert.ok(given?.uplink?.kind === "bridged");
    assert.deepEqual(given.uplink.gateways, { ipv4: "10.1.0.1", ipv6: "fd00:7::1" });
    assert.deepEqual(given.uplink.subnets, ["10.1.0.0/16", "fd00:7::/64"]);
  });

  test("is without a gateway where nobody is known to be one", () => {
    const alone = bridged({ address: "10.1.0.9/16" }, []);
    assert.deepEqual(alone?.ipv4, { address: "10.1.0.9", prefixLength: 16 });
    assert.deepEqual(alone?.uplink?.kind === "bridged" && alone.uplink.gateways, {});
    assert.equal(alone?.ipv6, undefined);
  });

  test("finds the bridge's IPv6 gateway in the same network", () => {
    const one = bridged({ address6: "fd00:7::9/64" }, ["192.168.7.1/24", "fe80::1/64", "fd00:7::1/64"]);
    assert.deepEqual(one?.uplink?.kind === "bridged" && one.uplink.gateways, {
      ipv4: "192.168.7.1",
      ipv6: "fd00:7::1",
    });
  });

  test("is refused where it is taken, or can not be known", () => {
    const code = (expected: string) => (error: unknown) => isWarderError(error) && error.code === expected;
    assert.throws(() => bridged({ address: "192.168.7.1/24" }), code("address-taken"));
    const leases = new MemoryLeases(toVmId("vm-2"));
    bridged({ address: "192.168.7.9/24" }, undefined, leases);
    leases.taken.delete(`interface ${interfaceNumber(toVmId("vm-1"), 0)}`);
    assert.throws(() => bridged({ address: "192.168.7.9/24" }, undefined, leases), code("address-taken"));
    assert.throws(() => bridged({}, []), code("interface-unfit"));
    assert.throws(() => bridged({}, ["192.168.7.1/31"]), code("addresses-exhausted"));
  });
});
