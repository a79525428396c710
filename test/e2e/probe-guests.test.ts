import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { requires } from "../support/capability.ts";

const guests = join(import.meta.dirname, "../../guests");
const names = readdirSync(guests).flatMap((name) => /^(.+)\.elf$/.exec(name)?.[1] ?? []);
/** Firecracker puts a kernel above the first MiB, and refuses one that wants to lie lower. */
const HIGH_MEMORY = 0x10_0000n;

test("every guest has its source beside it", () => {
  const sources = readdirSync(guests).flatMap((name) => /^(.+)\.S$/.exec(name)?.[1] ?? []);
  assert.deepEqual(names, sources);
});

test("the guests are what their sources give", requires("gcc"), () => {
  const script = join(import.meta.dirname, "../../scripts/build-guests.ts");
  const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

for (const name of names) {
  test(`${name} is small, lies high, and bears its name for the fake Firecracker`, () => {
    const elf = readFileSync(`${guests}/${name}.elf`);
    assert.ok(elf.byteLength < 4096);
    assert.ok(elf.readBigUInt64LE(24) >= HIGH_MEMORY);
    assert.ok(elf.includes(`warder-fake-guest:${name}\0`));
  });
}
