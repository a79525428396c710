import assert from "node:assert/strict";
import * as fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { requires } from "../support/capability.ts";
import { buildLabGuest, LAB_PATIENCE_MS, type LabGuest } from "../support/lab-guest.ts";
import { openFixture } from "../support/warder-fixture.ts";

const needs = requires("in-lab", "cgroup-v2", "real-binaries", "gcc");
const disk = "/var/tmp/warder-limited-disk";
const DISK_BYTES = 32 * 1024 * 1024;

let guest: LabGuest | undefined;

/** Reads so many blocks of the disk in a guest, which makes requests of so many KiB of them, and prints when. */
const read = (blockBytes: number, count: number, requestKib: number) =>
  [
    `echo ${requestKib} > /sys/block/vda/queue/read_ahead_kb`,
    "echo from $(cut -d' ' -f1 /proc/uptime)",
    `dd if=/dev/vda of=/dev/null bs=${blockBytes} count=${count}`,
    "echo to $(cut -d' ' -f1 /proc/uptime)",
  ].join("; ");
function secondsOf(console: string): number {
  const at = (word: string) => Number(new RegExp(`^${word} ([\\d.]+)`, "m").exec(console)?.[1]);
  return at("to") - at("from");
}

/** Within a tenth of what is due. */
function assertWithinTenth(found: number, due: number, console: string): void {
  assert.ok(Math.abs(found / due - 1) <= 0.1, `${found}, and ${due} are due; it printed ${console}`);
}

describe("a disk's rate limit, seen from a Linux guest", { ...needs, timeout: 4 * LAB_PATIENCE_MS }, () => {
  before(() => {
    guest = buildLabGuest();
    fs.writeFileSync(disk, Buffer.alloc(DISK_BYTES, "x"));
  });
  after(() => {
    fs.rmSync(disk, { force: true });
    guest?.[Symbol.dispose]();
  });

  const bandwidth = { bytesPerSecond: 1_000_000 };
  const cases = [
    { name: "bytes a second", rateLimit: { bandwidth }, block: 100_000, count: 100, requestKib: 128 },
    { name: "requests a second", rateLimit: { operations: { perSecond: 20 } }, block: 4096, count: 200, requestKib: 0 },
  ];
  for (const { name, rateLimit, block, count, requestKib } of cases) {
    test(`holds ${name} within a tenth over ten seconds`, async () => {
      await using fixture = await openFixture();
      const spec = guest?.spec(read(block, count, requestKib), {
        drives: [{ id: "data", path: disk, readOnly: true, rateLimit }],
      });
      assert.ok(spec !== undefined);
      const vm = await fixture.warder.run(spec);
      await vm.wait();
      assertWithinTenth(secondsOf(vm.readConsole()), 10, vm.readConsole());
    });
  }
});
