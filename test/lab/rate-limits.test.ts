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

/** Reads so many blocks of the disk in a guest; the seconds that it took there. */
const read = (blockBytes: number, count: number) =>
  [
    "echo 0 > /sys/block/vda/queue/read_ahead_kb",
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

  const cases = [
    { name: "bytes a second", rateLimit: { bandwidth: { bytesPerSecond: 1_000_000 } }, blockBytes: 50_000, count: 200 },
    { name: "requests a second", rateLimit: { operations: { perSecond: 20 } }, blockBytes: 4096, count: 200 },
  ];
  for (const { name, rateLimit, blockBytes, count } of cases) {
    test(`holds ${name} within a tenth over ten seconds`, async () => {
      await using fixture = await openFixture();
      const spec = guest?.spec(read(blockBytes, count), {
        drives: [{ id: "data", path: disk, readOnly: true, rateLimit }],
      });
      assert.ok(spec !== undefined);
      const vm = await fixture.warder.run(spec);
      await vm.wait();
      assertWithinTenth(secondsOf(vm.readConsole()), 10, vm.readConsole());
    });
  }
});
