import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { testPools } from "../../test/support/network-plans.ts";
import type { Ipv4 } from "../vm/network/address.ts";
import { addressAt, contains, overlaps, sizeOf, toCidr } from "../vm/network/cidr.ts";
import { gatewayIn, ipv6Beside, leasable, networksMax, subnetsOf } from "./pools.ts";

const anyPools = fc
  .tuple(fc.integer({ min: 8, max: 28 }), fc.integer({ min: 32, max: 112 }))
  .map(([four, six]) => ({ ipv4: toCidr(`10.0.0.0/${four}`), ipv6: toCidr(`fd00::/${six}`) }));

describe("address pools", () => {
  test("are cut into subnets that have no address in common, and none of others", () =>
    fc.assert(
      fc.property(anyPools, fc.nat(), fc.nat(), (pools, one, other) => {
        const most = networksMax(pools);
        const [first, second] = [subnetsOf(pools, one % (most + 1)), subnetsOf(pools, other % (most + 1))];
        for (const { ipv4, ipv6 } of [first, second]) {
          assert.ok(overlaps(pools.ipv4, ipv4));
          assert.ok(ipv6 === undefined || overlaps(pools.ipv6, ipv6));
        }
        if (one % (most + 1) === other % (most + 1)) return;
        assert.ok(!overlaps(first.ipv4, second.ipv4));
        assert.ok(first.ipv6 === undefined || second.ipv6 === undefined || !overlaps(first.ipv6, second.ipv6));
      }),
    ));

  test("have an IPv6 address beside each IPv4 address of a subnet, in the subnet beside it", () =>
    fc.assert(
      fc.property(anyPools, fc.nat(), fc.bigInt({ min: 0n, max: 1n << 24n }), (pools, number, offset) => {
        const { ipv4, ipv6 } = subnetsOf(pools, number % (networksMax(pools) + 1));
        const address = ipv6Beside(pools, addressAt(ipv4, offset % sizeOf(ipv4)) as Ipv4);
        assert.equal(address === undefined, ipv6 === undefined);
        assert.ok(address === undefined || ipv6 === undefined || contains(ipv6, address));
      }),
    ));

  test("give neither a network's address, its gateway's, nor its broadcast address", () => {
    assert.deepEqual(leasable(toCidr("10.0.0.0/24")), { first: 0x0a000002, count: 253 });
    assert.equal(gatewayIn(toCidr("10.0.0.0/24")), "10.0.0.1");
  });

  test("have an end", () => {
    assert.equal(networksMax(testPools), 128);
    assert.deepEqual(subnetsOf(testPools, 1), { ipv4: "10.100.128.0/24", ipv6: "fd57:6172:6465::8000/120" });
    assert.throws(() => subnetsOf(testPools, 129), /has no network 129/);
  });

  test("that are small are for VMs on their own", () => {
    const small = { ipv4: toCidr("10.0.0.0/24"), ipv6: toCidr("fd00::/64") };
    assert.equal(networksMax(small), 0);
    assert.deepEqual(subnetsOf(small, 0).ipv4, "10.0.0.0/24");
  });
});
