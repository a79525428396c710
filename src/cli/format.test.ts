import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatBytes, formatDuration, formatExit, formatMib } from "./format.ts";

for (const [ms, text] of [
  [0, "0 ms"],
  [-5, "0 ms"],
  [999, "999 ms"],
  [999.7, "1.0 s"],
  [59_940, "59.9 s"],
  [59_960, "1 min 0 s"],
  [3_599_400, "59 min 59 s"],
  [3_600_000, "1 h 0 min"],
  [90_000_000, "1 d 1 h"],
] as const) {
  test(`${ms} ms are ${text}`, () => assert.equal(formatDuration(ms), text));
}

for (const [bytes, text] of [
  [0, "0 B"],
  [1023, "1023 B"],
  [1536, "1.5 KiB"],
  [128 * 1024 * 1024, "128 MiB"],
  [191_258_624, "182 MiB"],
  [2 * 1024 ** 4, "2 TiB"],
  [5000 * 1024 ** 4, "5000 TiB"],
] as const) {
  test(`${bytes} bytes are ${text}`, () => assert.equal(formatBytes(bytes), text));
}

test("sizes and times are short, whatever they are", () => {
  fc.assert(
    fc.property(fc.nat(), (number) => {
      assert.ok(formatBytes(number).length <= 9, formatBytes(number));
      assert.ok(formatDuration(number).length <= 11, formatDuration(number));
    }),
  );
  assert.equal(formatMib(2048), "2 GiB");
});

test("an exit is its cause, and what it ended with where that says more", () => {
  const exit = { evidence: [], at: 0, code: null, signal: null } as const;
  assert.equal(formatExit({ ...exit, cause: "unknown" }), "unknown");
  assert.equal(formatExit({ ...exit, cause: "guest-ended", code: 0 }), "guest-ended");
  assert.equal(formatExit({ ...exit, cause: "firecracker-error", code: 148 }), "firecracker-error (148)");
  assert.equal(formatExit({ ...exit, cause: "killed", signal: "SIGKILL" }), "killed (SIGKILL)");
});
