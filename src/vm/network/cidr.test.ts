import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { addressBits, addressOf, type IpAddress, toAddress } from "./address.ts";
import {
  addressAt,
  type Cidr,
  cidrAround,
  cidrProblem,
  contains,
  interfaceAddressProblem,
  overlaps,
  partsOf,
  sizeOf,
  toCidr,
  toInterfaceAddress,
} from "./cidr.ts";

const anyCidr: fc.Arbitrary<Cidr> = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) =>
    fc
      .tuple(fc.bigInt(0n, (1n << BigInt(addressBits[family])) - 1n), fc.integer({ min: 0, max: addressBits[family] }))
      .map(([number, prefixLength]) => cidrAround({ address: addressOf(family, number), prefixLength })),
  );

describe("a range", () => {
  test("is read as it is written", () =>
    fc.assert(
      fc.property(anyCidr, (cidr) => {
        // The range of all old forms of IPv4 is one that nobody can mean.
        if (cidrProblem(cidr) === undefined) assert.equal(toCidr(cidr), cidr);
        else assert.match(cidr, /^::/);
      }),
    ));

  test("has its first and its last address, and none after it", () =>
    fc.assert(
      fc.property(anyCidr, (cidr) => {
        assert.ok(contains(cidr, addressAt(cidr, 0n)));
        assert.ok(contains(cidr, addressAt(cidr, sizeOf(cidr) - 1n)));
        assert.throws(() => addressAt(cidr, sizeOf(cidr)), RangeError);
        assert.equal(addressAt(cidr, 0n), partsOf(cidr).network);
      }),
    ));

  test("overlaps another exactly where one has the other's first address", () =>
    fc.assert(
      fc.property(anyCidr, anyCidr, (one, other) => {
        const isShared = contains(one, partsOf(other).network) || contains(other, partsOf(one).network);
        assert.equal(overlaps(one, other), isShared);
        assert.equal(overlaps(other, one), isShared);
        assert.ok(overlaps(one, one));
      }),
    ));

  test("is one address where no length is given", () => {
    assert.equal(toCidr("10.0.0.1"), "10.0.0.1/32");
    assert.equal(toCidr("FD00:0::1"), "fd00::1/128");
  });

  test("is refused with bits beyond its length, and told what may have been meant", () => {
    assert.equal(cidrProblem("10.1.2.3/8"), "has bits beyond its length: 10.0.0.0/8 would be the whole range");
    assert.throws(() => toCidr("fd00::1/8"), /fd00::\/8 would be the whole range/);
  });

  test("is refused without sense", () => {
    for (const text of ["10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/8/8", "/8", "10.0.0.0/-1", "10.0.0.0/08x"])
      assert.ok(cidrProblem(text), text);
  });

  test("of another family contains nothing", () =>
    assert.equal(contains(toCidr("0.0.0.0/0"), toAddress("fd00::1") as IpAddress), false));
});

describe("an interface's address", () => {
  test("keeps its own bits and its network's length", () => {
    assert.deepEqual(toInterfaceAddress("192.168.7.11/24"), { address: "192.168.7.11", prefixLength: 24 });
    assert.equal(cidrAround(toInterfaceAddress("192.168.7.11/24")), "192.168.7.0/24");
  });
  test("needs a length", () => {
    assert.equal(interfaceAddressProblem("192.168.7.11"), "must have a length after the slash, 0 to 32");
    assert.throws(() => toInterfaceAddress("fd00::1"), /0 to 128/);
  });
});
