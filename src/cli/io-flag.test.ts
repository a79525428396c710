import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { io } from "./io-flag.ts";

test("rates are those of io.max, with factors of 1024", () => {
  assert.deepEqual(io("8:0:rbps=10M,wbps=1k,riops=200,wiops=1"), {
    value: {
      device: "8:0",
      readBytesPerSecond: 10 * 1024 * 1024,
      writeBytesPerSecond: 1024,
      readOperationsPerSecond: 200,
      writeOperationsPerSecond: 1,
    },
  });
});

test("a device may be named by its path", () => {
  assert.deepEqual(io("/dev/disk/by-path/a:b:wbps=1G"), {
    value: { device: "/dev/disk/by-path/a:b", writeBytesPerSecond: 1024 ** 3 },
  });
});

test("what is not of this form is refused, with the form", () => {
  for (const text of [
    "",
    "8:0",
    "8:0:",
    "8:0:rbps",
    "8:0:rbps=",
    "8:0:rbps=0",
    "8:0:bps=1",
    "8:0:rbps=1,",
    "vda:rbps=1",
    "8:rbps=1",
    "8:0:rbps=1T",
    "8:0:rbps=999999999999999g",
  ]) {
    const parsed = io(text);
    assert.ok("problem" in parsed, text);
    assert.match(parsed.problem, /DEV:RATE/);
  }
});

test("any text is taken or refused", () => {
  fc.assert(fc.property(fc.string(), (text) => void assert.ok(Object.keys(io(text)).length === 1)));
});
