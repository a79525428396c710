import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { elfHead } from "../../test/support/setup-binaries.ts";
import { ELF_HEAD_BYTES, inspectElf } from "./elf.ts";
import { builtInGuest } from "./guests.ts";

test("a program without an interpreter is static", () => {
  assert.deepEqual(inspectElf(elfHead({ segments: [1, 2, 7] })), { machine: "x86-64", isStatic: true });
});

test("a program with an interpreter is dynamic", () => {
  assert.equal(inspectElf(elfHead({ segments: [6, 3, 1] }))?.isStatic, false);
});

test("Node itself is a dynamic program of this machine", () => {
  const facts = inspectElf(readFileSync(process.execPath).subarray(0, ELF_HEAD_BYTES));
  assert.deepEqual(facts, { machine: process.arch === "arm64" ? "aarch64" : "x86-64", isStatic: false });
});

test("the built-in guest is a static x86-64 program", () => {
  assert.deepEqual(inspectElf(readFileSync(builtInGuest("probe"))), { machine: "x86-64", isStatic: true });
});

test("machines are told apart", () => {
  assert.equal(inspectElf(elfHead({ machine: 183 }))?.machine, "aarch64");
  assert.equal(inspectElf(elfHead({ machine: 243 }))?.machine, "other");
});

test("program headers beyond the head leave it open whether the program is static", () => {
  assert.equal(inspectElf(elfHead({ offset: 1_000_000n }))?.isStatic, undefined);
  assert.equal(inspectElf(elfHead({ offset: 0xffff_ffff_ffff_ffffn }))?.isStatic, undefined);
});

for (const [what, bytes] of [
  ["nothing", new Uint8Array()],
  ["a script", Buffer.from(`#!/bin/sh\n${"#".repeat(100)}`)],
  ["a head that is cut off", elfHead().subarray(0, 63)],
  ["a 32-bit program", Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]), Buffer.alloc(80)])],
  ["a big-endian program", Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 2]), Buffer.alloc(80)])],
] as const) {
  test(`${what} is no program`, () => assert.equal(inspectElf(bytes), undefined));
}

test("no bytes make it throw", () => {
  const anyHead = fc.uint8Array({ maxLength: 512 });
  const nearlyElf = anyHead.map((rest) => Buffer.concat([elfHead().subarray(0, 16), rest]));
  fc.assert(
    fc.property(fc.oneof(anyHead, nearlyElf), (bytes) => {
      inspectElf(bytes);
    }),
  );
});
