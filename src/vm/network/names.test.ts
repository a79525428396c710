import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { macProblem, toMac } from "./mac.ts";
import { INTERFACE_NAME_MAX_BYTES, interfaceNameProblem, networkNameProblem, toInterfaceName } from "./names.ts";

describe("names of interfaces", () => {
  test("that are taken are the kernel's too, and no option, path or pattern", () =>
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[ -~]{0,18}$/)), (name) => {
        if (interfaceNameProblem(name) !== undefined) return;
        assert.ok(Buffer.byteLength(name) > 0 && Buffer.byteLength(name) <= INTERFACE_NAME_MAX_BYTES);
        assert.doesNotMatch(name, /[\s/:*@$"'`;|&<>\\]|^-|^\.|^$/);
      }),
    ));
  test("are refused by a sentence", () => {
    assert.equal(interfaceNameProblem("tap-vm-1645123456789"), "must be at most 15 characters");
    assert.match(interfaceNameProblem("eth 0") ?? "", /may hold only/);
    assert.throws(() => toInterfaceName("-f"), /first no dot or hyphen/);
    assert.equal(toInterfaceName("br0"), "br0");
  });
});

test("names of networks can be names of files", () =>
  fc.assert(
    fc.property(fc.string(), (name) => {
      if (networkNameProblem(name) === undefined) assert.match(name, /^[a-z0-9][a-z0-9-]*$/);
    }),
  ));

describe("hardware addresses", () => {
  test("are kept in lower case", () => assert.equal(toMac("02:FC:00:00:00:0A"), "02:fc:00:00:00:0a"));
  test("are refused where no interface can have them", () => {
    for (const text of [
      "",
      "02:fc:00:00:00",
      "02-fc-00-00-00-01",
      "01:00:5e:00:00:01",
      "00:00:00:00:00:00",
      "02:fc:00:00:00:01:02",
    ])
      assert.throws(() => toMac(text), RangeError, text);
    assert.match(macProblem("ff:ff:ff:ff:ff:ff") ?? "", /multicast/);
  });
});
