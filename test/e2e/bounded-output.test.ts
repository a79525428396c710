import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { requires } from "../support/capability.ts";
import { until } from "../support/conformance/until.ts";
import { startManager } from "../support/manager-process.ts";
import { guest, openFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");
const LIMIT = 64 * 1024;
const limits = { consoleLimitBytes: LIMIT, logLimitBytes: LIMIT };

/** Bytes of a VM's kept output on the disk, and those of its console. */
function sizeOf(stateDir: string, id: string): { total: number; console: number } {
  const directory = `${stateDir}/vms/${id}`;
  const sizes = fs.readdirSync(directory).map((name) => [name, fs.statSync(`${directory}/${name}`).size] as const);
  const sum = (names: (name: string) => boolean) =>
    sizes.filter(([name]) => names(name)).reduce((all, [, size]) => all + size, 0);
  return { total: sum((name) => name !== "record.json"), console: sum((name) => /^console(\.1)?$/.test(name)) };
}

/** Bytes that a FIFO holds: ioctl_pipe(2). They stay in it. */
function waitingIn(path: string): number {
  const script = `
import array, fcntl, os, sys, termios
count = array.array("i", [0])
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK), termios.FIONREAD, count)
print(count[0])`;
  return Number(execFileSync("python3", ["-c", script, path]));
}

describe("a guest that floods its console", real, () => {
  test("is kept within the limit, the newest, and every byte that is not is counted", async () => {
    await using fixture = await openFixture(limits);
    let printed = 0;
    let newest = "";
    const vm = await fixture.warder.run(
      { kernel: guest("flood") },
      {
        onConsole: (chunk) => {
          printed += chunk.length;
          newest = `${newest}${Buffer.from(chunk).toString("latin1")}`.slice(-1_000);
        },
      },
    );
    await until("it has printed three times what is kept", () => printed > 3 * LIMIT);
    await vm.kill();
    const { console: kept, total } = sizeOf(fixture.options.stateDir, vm.id);
    assert.ok(kept <= LIMIT && kept >= LIMIT / 2, String(kept));
    assert.ok(total <= 2 * LIMIT + 256 * 1024 + 4096, String(total));
    assert.ok(vm.readConsole().endsWith(newest));
    const { console: output, log } = vm.inspect().output ?? assert.fail("no output");
    assert.deepEqual(output, { limitBytes: LIMIT, droppedBytes: printed - kept, gaps: 0 });
    assert.deepEqual(log, { limitBytes: LIMIT, droppedBytes: 0, gaps: 0 });
  });

  test("stays within it while no manager is there, and it is said that nobody knows how much was lost", async () => {
    await using fixture = await openFixture(limits);
    await using manager = startManager(
      fixture.options,
      `const warder = await Warder.open(options);
       tell((await warder.run({ kernel: ${JSON.stringify(guest("flood"))} })).id);
       await idle();`,
    );
    const id = String(await manager.tell());
    const vm = fixture.warder.get(id);
    await until("it prints", () => vm.readConsole().length > 1_000);
    await manager.kill();
    const before = sizeOf(fixture.options.stateDir, id);
    await until("its FIFO is full", () => waitingIn(`${vm.record.layout.io}/console`) >= 65_536 - 4_096);
    assert.deepEqual(sizeOf(fixture.options.stateDir, id), before, "nobody writes");
    assert.equal(vm.lookAfter(), true);
    await until("what the FIFO held is kept", () => vm.inspect().output?.console.gaps === 1);
    await until("its console goes on", () => (vm.inspect().output?.console.droppedBytes ?? 0) > LIMIT);
    const { total } = sizeOf(fixture.options.stateDir, id);
    assert.ok(total <= 2 * LIMIT + 256 * 1024 + 4096, String(total));
    await vm.kill();
  });

  test("that prints little while no manager is there has lost nothing", async () => {
    await using fixture = await openFixture(limits);
    const first = await fixture.reopen();
    const { id } = await first.run({ kernel: guest("tick") });
    await first[Symbol.asyncDispose]();
    await pause(100);
    const vm = fixture.warder.get(id);
    assert.equal(vm.lookAfter(), true);
    const seen = vm.readConsole().length;
    await until("its console goes on", () => vm.readConsole().length > seen);
    assert.equal(vm.inspect().output?.console.gaps, 0);
  });
});
