import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { VmSpecInput } from "../../src/vm/spec.ts";
import { requires } from "../support/capability.ts";
import { openFixture } from "../support/warder-fixture.ts";

/** The lab emulates every instruction: what takes a second elsewhere takes half a minute here. */
const PATIENCE_MS = 240_000;
const BOOT = "console=ttyS0 reboot=k panic=-1 quiet tsc=reliable no_timer_check mitigations=off";

const directory = fs.mkdtempSync("/var/tmp/warder-guest-");
before(() => void execFileSync(new URL("../../lab/linux-guest.sh", import.meta.url).pathname, [directory]));
after(() => fs.rmSync(directory, { recursive: true }));

/** A Linux guest that runs one command of its shell, and ends. */
const linux = (command: string, more: Partial<VmSpecInput> = {}): VmSpecInput => ({
  kernel: `${directory}/vmlinux`,
  initrd: `${directory}/initrd`,
  bootArgs: `${BOOT}${command === "" ? "" : ` -- ${command}`}`,
  memoryMib: 192,
  startTimeoutMs: PATIENCE_MS,
  ...more,
});

describe("a Linux guest", { ...requires("in-lab", "cgroup-v2", "real-binaries"), timeout: 4 * PATIENCE_MS }, () => {
  test("boots in a proven jail under cgroup v2, says so from inside, and leaves nothing", async () => {
    await using fixture = await openFixture();
    const before = fixture.snapshot();
    const vm = await fixture.warder.run(
      linux("", { limits: { memoryBytes: 400 * 1024 * 1024, cpuPercent: 100, pids: 64 } }),
    );
    const { isolation, cgroup } = vm.inspect();
    assert.equal(isolation?.level, "proven", String(isolation?.gaps));
    assert.equal(cgroup?.version, 2);
    const read = (file: string) => fs.readFileSync(`${cgroup?.directories.memory}/${file}`, "utf8").trim();
    assert.deepEqual([read("memory.max"), read("cpu.max"), read("pids.max")], ["419430400", "100000 100000", "64"]);
    const exit = await vm.wait();
    assert.deepEqual([exit.cause, exit.code], ["guest-ended", 0]);
    assert.match(vm.readConsole(), /^guest: Linux 6\.\S+ x86_64/m);
    assert.deepEqual(fixture.snapshot(), before);
  });

  test("ends by Ctrl-Alt-Del, in order", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(linux("echo ready; sleep 1000"));
    await printed(() => vm.readConsole(), "ready");
    const outcome = await vm.stop({
      ladder: [
        { method: "ctrl-alt-del", timeoutMs: PATIENCE_MS },
        { method: "sigkill", timeoutMs: 10_000 },
      ],
    });
    assert.equal(outcome.endedBy, "ctrl-alt-del");
    assert.equal(vm.inspect().exit?.cause, "stopped");
  });

  test("that panics is known to have", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(linux("echo c > /proc/sysrq-trigger"));
    const exit = await vm.wait();
    assert.equal(exit.cause, "guest-panic", exit.evidence.join("\n"));
    assert.match(exit.evidence.join(""), /sysrq triggered crash/);
  });

  test("that takes more memory than its jail has is killed by the kernel, and that is the cause", async () => {
    await using fixture = await openFixture();
    const eat = "mount -t tmpfs -o size=180m none /mnt; dd if=/dev/zero of=/mnt/fill bs=1M count=170";
    const vm = await fixture.warder.run(linux(eat, { limits: { memoryBytes: 130 * 1024 * 1024 } }));
    const exit = await vm.wait();
    assert.equal(exit.cause, "out-of-memory", exit.evidence.join("\n"));
  });

  test("is slowed down to its share of the CPU", async () => {
    await using fixture = await openFixture();
    const vm = await fixture.warder.run(linux("while :; do :; done", { limits: { cpuPercent: 40 } }));
    const throttled = () =>
      Number(
        /^nr_throttled (\d+)/m.exec(fs.readFileSync(`${vm.record.cgroup?.directories.cpu}/cpu.stat`, "utf8"))?.[1],
      );
    await met("its group is throttled", () => throttled() > 3);
    await vm.kill();
  });

  test("lives in a network and a pid namespace of its own", async () => {
    await using fixture = await openFixture();
    execFileSync("ip", ["netns", "add", "warder-lab"]);
    try {
      const vm = await fixture.warder.run(linux("", { netns: "/run/netns/warder-lab", newPidNamespace: true }));
      assert.equal(vm.inspect().isolation?.level, "proven", String(vm.inspect().isolation?.gaps));
      const exit = await vm.wait();
      assert.equal(exit.cause, "guest-ended", exit.evidence.join("\n"));
    } finally {
      execFileSync("ip", ["netns", "del", "warder-lab"]);
    }
  });
});

const printed = (console: () => string, text: string) => met(`it prints ${text}`, () => console().includes(text));

async function met(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(100);
  }
}
