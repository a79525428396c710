import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { Warder } from "../../src/lifecycle/warder.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { requires } from "../support/capability.ts";
import { until } from "../support/conformance/until.ts";
import { startManager } from "../support/manager-process.ts";
import { guest, makeBed, type WarderBed } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");
const TICK = JSON.stringify(guest("tick"));

/** A state directory that is a file system of a few MiB. */
function makeSmallBed(): WarderBed & { fill(): void; free(): void } {
  const bed = makeBed();
  const { stateDir } = bed.options;
  fs.mkdirSync(stateDir, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", stateDir]);
  const filler = `${stateDir}/filler`;
  return {
    ...bed,
    fill() {
      const descriptor = fs.openSync(filler, "a");
      try {
        for (;;) fs.writeSync(descriptor, Buffer.alloc(4096));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
      } finally {
        fs.closeSync(descriptor);
      }
    },
    free: () => fs.rmSync(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      fs.rmSync(filler, { force: true });
      try {
        await using warder = await Warder.open(bed.options);
        for (const vm of warder.list({ all: true })) await vm.remove({ force: true });
      } finally {
        execFileSync("umount", ["--lazy", stateDir]);
      }
      await bed[Symbol.asyncDispose]();
    },
  };
}

const isFull = (error: unknown) => {
  assert.ok(isWarderError(error), String(error));
  assert.equal(error.code, "disk-full", error.message);
  return true;
};

describe("a full disk under the state directory", real, () => {
  test("refuses new VMs, and lets those that run go on, be paused, stopped and removed", async () => {
    await using bed = makeSmallBed();
    await using manager = await Warder.open({ ...bed.options, role: "manager" });
    let printed = 0;
    const vm = await manager.run({ kernel: guest("tick") }, { onConsole: (chunk) => (printed += chunk.length) });
    const other = await manager.run({ kernel: guest("idle") });
    const jails = () => fs.readdirSync(`${bed.options.chrootBase}/firecracker`).length;
    const before = jails();
    bed.fill();
    await assert.rejects(manager.run({ kernel: guest("idle") }), isFull);
    assert.equal(jails(), before);
    const seen = printed;
    await until("its guest goes on", () => printed > seen + 100);
    await vm.pause();
    await vm.resume();
    const outcome = await vm.stop({ ladder: [{ method: "sigterm", timeoutMs: 5_000 }] });
    assert.equal(outcome.endedBy, "sigterm");
    assert.equal(vm.inspect().exit?.cause, "killed");
    await other.remove({ force: true });
    assert.equal(jails(), 0);
    assert.deepEqual(
      manager.list({ all: true }).map(({ id }) => id),
      [vm.id],
    );
    bed.free();
    const another = await manager.run({ kernel: guest("idle") });
    assert.equal(another.state, "running");
  });

  test("keeps nobody from opening the state, taking over what runs and ending it", async () => {
    await using bed = makeSmallBed();
    await using first = startManager(
      bed.options,
      `const warder = await Warder.open(options);
       const vms = await Promise.all([1, 2, 3].map(() => warder.run({ kernel: ${TICK} })));
       tell(vms.map((vm) => vm.id));
       await idle();`,
    );
    const ids = (await first.tell()) as string[];
    bed.fill();
    await first.kill();
    await using manager = await Warder.open({ ...bed.options, role: "manager" });
    assert.deepEqual(
      manager.list().map(({ state, record }) => [state, record.owner?.pid]),
      ids.map(() => ["running", process.pid]),
    );
    await using visitor = await Warder.open(bed.options);
    await assert.rejects(visitor.run({ kernel: guest("idle") }), isFull);
    for (const id of ids) await visitor.get(id).kill();
    assert.deepEqual(
      manager.list({ all: true }).map((vm) => vm.inspect().exit?.cause),
      ["killed", "killed", "killed"],
    );
    await until("their owner has removed them", () => {
      return fs.readdirSync(`${bed.options.chrootBase}/firecracker`).length === 0;
    });
  });

  test("is noticed before it is full: what is left is for what runs", async () => {
    await using bed = makeSmallBed();
    await using warder = await Warder.open(bed.options);
    fs.writeFileSync(`${bed.options.stateDir}/filler`, Buffer.alloc(6 * 1024 * 1024));
    await assert.rejects(warder.run({ kernel: guest("idle") }), /the state directory has \d+ bytes left/);
    bed.free();
    await (await warder.run({ kernel: guest("idle") })).remove({ force: true });
  });
});
