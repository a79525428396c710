import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import {
  disk,
  drive,
  mebibytes,
  oneOf,
  path,
  seconds,
  secondsWithin,
  sha256,
  uidRange,
  whole,
} from "./flag-parsers.ts";
import type { Parsed, Parser } from "./flags.ts";

const accepted = <T>(parsed: Parsed<T>): T => {
  assert.ok("value" in parsed, JSON.stringify(parsed));
  return parsed.value;
};
const isRefused = (parsed: Parsed<unknown>) => "problem" in parsed;

const all: Record<string, Parser<unknown>> = {
  disk,
  drive,
  mebibytes,
  path,
  seconds,
  sha256,
  uidRange,
  whole,
  oneOf: oneOf("strict", "degrade"),
  secondsWithin: secondsWithin(0.1, 600),
};

for (const [name, parse] of Object.entries(all)) {
  test(`${name} takes any text, and refuses with a clause`, () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (text) => {
        const parsed = parse(text);
        if ("problem" in parsed) assert.match(parsed.problem, /^must be [^.]*\w/);
        else assert.notEqual(parsed.value, undefined);
      }),
    );
  });
}

test("every whole number is taken as itself", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (number) => assert.equal(accepted(whole(String(number))), number)));
});

test("what is not a whole number is refused", () => {
  for (const text of [
    "",
    "-1",
    "+1",
    "1.0",
    "1e3",
    " 1",
    "1 ",
    "0x10",
    "१",
    "9007199254740993",
    "99999999999999999999",
  ]) {
    assert.ok(isRefused(whole(text)), text);
  }
});

test("seconds become milliseconds", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999 }), (ms) => {
      assert.equal(accepted(seconds((ms / 1000).toFixed(3))), ms);
      assert.equal(accepted(seconds(`${ms}`)), ms * 1000);
      assert.equal(accepted(seconds(`${ms}s`)), ms * 1000);
    }),
  );
  for (const text of ["", "-1", "1m", "1,5", ".5", "1.2345", "Infinity"]) assert.ok(isRefused(seconds(text)), text);
});

test("bounded seconds are taken at the bounds and refused beyond them", () => {
  const parse = secondsWithin(0.1, 600);
  assert.deepEqual([accepted(parse("0.1")), accepted(parse("600"))], [100, 600_000]);
  assert.ok(isRefused(parse("0.099")) && isRefused(parse("600.001")));
});

test("sizes are in MiB, whatever their unit", () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), (mib) => {
      for (const unit of ["", "m", "M", "MiB", "mb"]) assert.equal(accepted(mebibytes(`${mib}${unit}`)), mib);
      for (const unit of ["g", "G", "GiB", "GB"]) assert.equal(accepted(mebibytes(`${mib}${unit}`)), mib * 1024);
    }),
  );
  for (const text of ["", "M", "1.5G", "1k", "-1", "1 G", "1Gi"]) assert.ok(isRefused(mebibytes(text)), text);
});

test("paths are relative to where the user is", () => {
  assert.equal(accepted(path("vmlinux")), resolve("vmlinux"));
  assert.equal(accepted(path("/a/../b")), "/b");
});

test("a disk is read-only where it ends with :ro", () => {
  assert.deepEqual(accepted(disk("/a.img")), { path: "/a.img", readOnly: false });
  assert.deepEqual(accepted(disk("/a.img:ro")), { path: "/a.img", readOnly: true });
  assert.deepEqual(accepted(disk("/a.img:rw")), { path: "/a.img", readOnly: false });
  assert.deepEqual(accepted(disk("/a:b")), { path: "/a:b", readOnly: false });
  for (const text of ["", ":ro"]) assert.ok(isRefused(disk(text)), text);
});

test("a drive may have an id; an = in a path is no end of one", () => {
  assert.deepEqual(accepted(drive("data=/a.img:ro")), { id: "data", path: "/a.img", readOnly: true });
  assert.deepEqual(accepted(drive("/a=b.img")), { path: "/a=b.img", readOnly: false });
  assert.deepEqual(accepted(drive("./a=b")), { path: resolve("a=b"), readOnly: false });
  assert.deepEqual(accepted(drive("x=/a=b")), { id: "x", path: "/a=b", readOnly: false });
  for (const text of ["", "data=", "data=:ro"]) assert.ok(isRefused(drive(text)), text);
});

test("every id and absolute path of a drive come out as they went in", () => {
  const ids = fc.stringMatching(/^[A-Za-z0-9_]{1,64}$/);
  const names = fc.stringMatching(/^[A-Za-z0-9=._-]{1,20}$/).filter((name) => !/^\.+$/.test(name));
  fc.assert(
    fc.property(ids, names, fc.boolean(), (id, name, readOnly) => {
      const parsed = accepted(drive(`${id}=/srv/${name}${readOnly ? ":ro" : ""}`));
      assert.deepEqual(parsed, { id, path: `/srv/${name}`, readOnly });
    }),
  );
});

test("a range is two numbers", () => {
  assert.deepEqual(accepted(uidRange("500000:10000")), { first: 500_000, count: 10_000 });
  for (const text of ["", "1", "1:", ":1", "1:2:3", "-1:2", "1-2"]) assert.ok(isRefused(uidRange(text)), text);
});

test("one of some words is taken as it is written", () => {
  const parse = oneOf("strict", "degrade");
  assert.equal(accepted(parse("strict")), "strict");
  assert.deepEqual(parse("Strict"), { problem: "must be strict or degrade" });
});

test("a checksum is in lower case afterwards", () => {
  assert.equal(accepted(sha256("AB".repeat(32))), "ab".repeat(32));
  for (const text of ["", "ab", "g".repeat(64), "a".repeat(65)]) assert.ok(isRefused(sha256(text)), text);
});
