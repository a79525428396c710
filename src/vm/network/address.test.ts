import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { addressBits, addressOf, addressProblem, familyOf, toAddress, toNumber } from "./address.ts";

const anyAddress = fc.oneof(fc.ipV4(), fc.ipV6());
const anyFamily = fc.constantFrom(4 as const, 6 as const);

describe("an address", () => {
  test("is taken wherever the kernel's own reader takes it, but for forms of IPv4 in IPv6", () =>
    fc.assert(
      fc.property(fc.oneof(anyAddress, fc.string(), fc.stringMatching(/^[0-9a-f:.%/x]{1,20}$/)), (text) => {
        if (addressProblem(text) === undefined) assert.ok(isIPv4(text) || isIPv6(text), text);
        else if (isIPv4(text)) assert.fail(text);
      }),
    ));

  test("has one form, which is read as itself", () =>
    fc.assert(
      fc.property(anyAddress, (text) => {
        if (addressProblem(text) !== undefined) return;
        const address = toAddress(text);
        assert.equal(toAddress(address), address);
        assert.equal(toAddress(text.toUpperCase()), address);
      }),
    ));

  test("is a number and back", () =>
    fc.assert(
      fc.property(anyFamily, fc.bigInt(0n, (1n << 128n) - 1n), (family, bits) => {
        const number = bits >> BigInt(128 - addressBits[family]);
        const address = addressOf(family, number);
        assert.equal(toNumber(address), number);
        assert.equal(familyOf(address), family);
      }),
    ));

  test("is refused where another program would read another one", () => {
    for (const text of ["010.0.0.1", "0x7f.1", "127.1", "2130706433", "1.2.3.4 ", "1.2.3", "1.2.3.256", "", "a.b"])
      assert.equal(addressProblem(text), "must be an IPv4 or IPv6 address", text);
    for (const text of ["fe80::1%eth0", ":::", "1::2::3", "12345::"]) assert.ok(addressProblem(text), text);
  });

  test("is refused where it is an IPv4 address in disguise", () => {
    for (const text of ["::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::10.0.0.1", "::1"])
      assert.match(addressProblem(text) ?? "", /IPv6 form of an IPv4 address/, text);
    assert.equal(addressProblem("::"), undefined);
  });

  test("of a number with too many bits there is none", () => {
    assert.throws(() => addressOf(4, 1n << 32n), RangeError);
    assert.throws(() => addressOf(6, -1n), RangeError);
    assert.throws(() => toAddress("nowhere"), /must be an IPv4 or IPv6 address/);
  });
});
