import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type * as z from "zod";
import {
  bytes,
  decimal,
  duration,
  durationText,
  isLoopback,
  listenAddress,
  listOf,
  path,
  pathOrNone,
  range,
  uid,
  whole,
  yesOrNo,
} from "./form.ts";

const read = (schema: z.ZodType, given: unknown) => schema.safeParse(given).data;

const time = duration("100ms", "1h");
const size = bytes(1024, 1024 ** 3);
const ids = range("the first id", "5:6", 1, 100);

const cases: readonly [what: string, schema: z.ZodType, given: unknown, found: unknown][] = [
  ["a time in milliseconds", time, "250ms", 250],
  ["a time in seconds", time, "30s", 30_000],
  ["a time in minutes", time, "5 m", 300_000],
  ["a time that was read before", time, 5000, 5000],
  ["a time without a unit", time, "30", undefined],
  ["a time below the least", time, "99ms", undefined],
  ["a time above the most", time, "61m", undefined],
  ["a fraction of a time", time, "1.5s", undefined],
  ["no time", duration("0", "1h"), "0", 0],
  ["bytes", size, "4096", 4096],
  ["a size with its unit", size, "64KiB", 65_536],
  ["a size with a unit in other letters", size, "1 gib", 1024 ** 3],
  ["a size in powers of ten, which means another thing to everybody", size, "64KB", undefined],
  ["a size in scientific notation", size, "1e4", undefined],
  ["a size above the most", size, "2GiB", undefined],
  ["a number", whole(1, 10), "10", 10],
  ["a number with a blank", whole(1, 10), " 1", undefined],
  ["a hexadecimal number", whole(1, 100), "0x10", undefined],
  ["a fraction as a whole number", whole(1, 10), 1.5, undefined],
  ["a fraction", decimal(0, 1), "0.25", 0.25],
  ["not a number", decimal(0, 1), Number.NaN, undefined],
  ["infinity", decimal(0, 1), "Infinity", undefined],
  ["a boolean", yesOrNo, true, true],
  ["yes", yesOrNo, "Yes", true],
  ["off", yesOrNo, "off", false],
  ["nothing as a boolean", yesOrNo, "", undefined],
  ["a path", path, "/a/b", "/a/b"],
  ["a relative path", path, "a/b", undefined],
  ["a path with a NUL", path, "/a\0b", undefined],
  ["no path", pathOrNone, "none", "none"],
  ["a path where none could be", pathOrNone, "/none", "/none"],
  ["a relative path where none could be", pathOrNone, "any", undefined],
  ["a range", ids, "5:6", { first: 5, count: 6 }],
  ["a range that was read before", ids, { first: 5, count: 6 }, { first: 5, count: 6 }],
  ["a range with more in it", ids, { first: 5, count: 6, last: 1 }, undefined],
  ["a range that ends beyond the last", ids, "95:7", undefined],
  ["a range that ends with the last", ids, "95:6", { first: 95, count: 6 }],
  ["root's id", uid, "0", undefined],
  ["the id that means none", uid, "4294967295", undefined],
  ["the last id", uid, "4294967294", 4_294_967_294],
  ["localhost", listenAddress, "localhost", "127.0.0.1"],
  ["an IPv6 address", listenAddress, "::1", "::1"],
  ["a name, which can come to lead elsewhere", listenAddress, "example.org", undefined],
  ["a list", listOf(whole(1, 9)), "1, 2", [1, 2]],
  ["a list of which one is wrong", listOf(whole(1, 9)), ["1", "x"], undefined],
];

describe("a form", () => {
  for (const [what, schema, given, found] of cases) {
    test(`${found === undefined ? "refuses" : "takes"} ${what}`, () => assert.deepEqual(read(schema, given), found));
  }
});

test("a time is written so that it is read again as the same", () => {
  const any = duration("0", "365d");
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 365 * 86_400_000 }), (ms) => assert.equal(read(any, durationText(ms)), ms)),
  );
  assert.deepEqual([0, 1, 1000, 90_000, 86_400_000].map(durationText), ["0", "1ms", "1s", "90s", "1d"]);
});

test("only addresses of this machine are loopback", () => {
  assert.deepEqual(["127.0.0.1", "127.8.8.8", "::1"].map(isLoopback), [true, true, true]);
  assert.deepEqual(["0.0.0.0", "::", "10.0.0.1", "128.0.0.1"].map(isLoopback), [false, false, false, false]);
});
