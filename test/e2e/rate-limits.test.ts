import assert from "node:assert/strict";
import * as fs from "node:fs";
import { after, describe, test } from "node:test";
import { connectApi } from "../../src/lifecycle/api.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import type { Warder } from "../../src/lifecycle/warder.ts";
import { isWarderError } from "../../src/vm/error.ts";
import type { VmSpecInput } from "../../src/vm/spec.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const needs = requires("root", "kvm", "real-binaries");
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

const disk = `/var/tmp/warder-disk-${process.pid}`;
fs.writeFileSync(disk, Buffer.alloc(1024 * 1024));
after(() => fs.rmSync(disk));

const limit = { bandwidth: { bytesPerSecond: 1_000_000 }, operations: { perSecond: 50, burst: 10 } };
const limiter = {
  bandwidth: { size: 200_000, one_time_burst: 0, refill_time: 200 },
  ops: { size: 10, one_time_burst: 0, refill_time: 200 },
};
const spec = (rateLimit?: object): VmSpecInput => ({
  kernel: guest("idle"),
  drives: [{ path: disk, id: "data", readOnly: true, ...(rateLimit === undefined ? {} : { rateLimit }) }],
});

/** What Firecracker says of the disk's limiter. */
async function limiterOf({ machinery }: Warder, vm: Vm, change?: object): Promise<unknown> {
  const client = connectApi(machinery.host, vm.record);
  try {
    if (change !== undefined) await client.patchDrive({ drive_id: "data", rate_limiter: change });
    const found = (await client.vmConfig()).drives[0]?.rate_limiter;
    // Releases differ in whether they name a burst that there is none of.
    return JSON.parse(JSON.stringify(found ?? null), (key, value) => (key === "one_time_burst" ? (value ?? 0) : value));
  } finally {
    client.close();
  }
}

describe("a disk's rate limit", needs, () => {
  test("is there from the start", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(spec(limit));
    assert.deepEqual(await limiterOf(fixture.warder, vm), limiter);
  });

  test("is set, changed and taken away while the VM runs, and stays in its record", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(spec());
    assert.equal(await limiterOf(fixture.warder, vm), null);
    await vm.setRateLimit({ drive: "data" }, limit);
    assert.deepEqual(await limiterOf(fixture.warder, vm), limiter);
    assert.deepEqual(vm.record.spec.drives[0]?.rateLimit?.operations, limit.operations);
    await vm.setRateLimit({ drive: "data" }, { operations: limit.operations });
    assert.deepEqual(await limiterOf(fixture.warder, vm), { bandwidth: null, ops: limiter.ops });
    await vm.setRateLimit({ drive: "data" }, null);
    assert.equal(await limiterOf(fixture.warder, vm), null);
    assert.ok(!("rateLimit" in (vm.record.spec.drives[0] ?? {})));
  });

  test("is brought back by a resume where it was lost", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(spec(limit));
    await vm.pause();
    const none = { bandwidth: { size: 0, refill_time: 0 }, ops: { size: 0, refill_time: 0 } };
    assert.equal(await limiterOf(fixture.warder, vm, none), null);
    await vm.resume();
    assert.deepEqual(await limiterOf(fixture.warder, vm), limiter);
  });

  test("holds for the next run of a VM that has ended", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(spec());
    await vm.kill();
    await vm.setRateLimit({ drive: "data" }, limit);
    await vm.start();
    assert.deepEqual(await limiterOf(fixture.warder, vm), limiter);
  });

  test("is refused for a disk that is not there, and where it is none", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(spec());
    await assert.rejects(vm.setRateLimit({ drive: "rootfs" }, limit), code("invalid-argument"));
    await assert.rejects(vm.setRateLimit({ drive: "data" }, {}), code("invalid-argument"));
    const small = { bandwidth: { bytesPerSecond: 1_000_000, burstBytes: 1 } };
    await assert.rejects(vm.setRateLimit({ drive: "data" }, small), /at least 100000/);
  });
});
