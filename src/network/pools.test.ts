import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Ipv4, toAddress } from "../vm/network/address.ts";
import { contains, overlaps, toCidr } from "../vm/network/cidr.ts";
import { defaultPools, gatewayIn, ipv6Beside, leasable, networksMax, poolProblem, subnetsOf } from "./pools.ts";

const anyPools = fc
  .tuple(fc.integer({ min: 8, max: 22 }), fc.integer({ min: 48, max: 56 }))
  .map(([four, six]) => ({ ipv4: toCidr(`10.0.0.0/${four}`), ipv6: toCidr(`fd00::/${six}`) }));

describe("address pools", () => {
  test("are cut into subnets that have no address in common", () =>
    fc.assert(
      fc.property(anyPools, fc.nat(), fc.nat(), (pools, one, other) => {
        const most = networksMax(pools);
        const [first, second] = [one % (most + 1), other % (most + 1)];
        if (first === second) return;
        assert.ok(!overlaps(subnetsOf(pools, first).ipv4, subnetsOf(pools, second).ipv4));
        assert.ok(!overlaps(subnetsOf(pools, first).ipv6, subnetsOf(pools, second).ipv6));
        assert.ok(overlaps(pools.ipv4, subnetsOf(pools, first).ipv4));
      }),
    ));

  test("give neither a network's address, its gateway's, nor its broadcast address", () => {
    assert.deepEqual(leasable(toCidr("10.0.0.0/24")), { first: 0x0a000002, count: 253 });
    assert.equal(gatewayIn(toCidr("10.0.0.0/24")), "10.0.0.1");
  });

  test("have an IPv6 address beside each IPv4 address", () => {
    const { ipv6 } = subnetsOf(defaultPools, 1);
    const address = ipv6Beside(ipv6, toAddress("10.231.128.5") as Ipv4);
    assert.equal(address, "fd77:6172:6465:1::ae7:8005");
    assert.ok(contains(ipv6, address));
  });

  test("have an end", () => {
    assert.equal(networksMax(defaultPools), 128);
    assert.throws(() => subnetsOf(defaultPools, 129), /has no network 129/);
  });

  test("are of a size that can be cut", () => {
    assert.equal(poolProblem(toCidr("10.0.0.0/16"), 4), undefined);
    assert.equal(poolProblem(toCidr("10.0.0.0/24"), 4), "must be an IPv4 range of /8 to /22");
    assert.equal(poolProblem(toCidr("fd00::/64"), 6), "must be an IPv6 range of /48 to /56");
    assert.ok(poolProblem(toCidr("fd00::/48"), 4));
  });
});
