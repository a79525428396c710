import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { countDrops } from "../../src/lifecycle/network-admin.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import type { NetworkInput } from "../../src/vm/network/spec.ts";
import { LAB_PATIENCE_MS } from "../support/lab-guest.ts";
import { inOwnNetwork } from "../support/network/own-network.ts";
import { endAll, makeWorld, reach, world } from "../support/network/world.ts";
import { openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const BOOT = "console=ttyS0 reboot=k panic=-1 quiet tsc=reliable no_timer_check mitigations=off";
const path = (relative: string) => new URL(relative, import.meta.url).pathname;

inOwnNetwork(
  import.meta.filename,
  () => {
    const directory = fs.mkdtempSync("/var/tmp/warder-guest-");
    before(async () => {
      execFileSync(path("../../lab/linux-guest.sh"), [directory, path("guest/network-init.sh")]);
      await makeWorld();
    });
    after(() => {
      endAll();
      fs.rmSync(directory, { recursive: true });
    });

    const start = (fixture: WarderFixture, command: string, networks: NetworkInput[]): Promise<Vm> =>
      fixture.warder.run({
        kernel: `${directory}/vmlinux`,
        initrd: `${directory}/initrd`,
        bootArgs: `${BOOT} -- ${command}`,
        memoryMib: 192,
        startTimeoutMs: LAB_PATIENCE_MS,
        networks,
      });
    const tries = (...targets: readonly (readonly [string, number])[]) =>
      targets.map(([host, port]) => `try ${host} ${port};`).join("");
    /** Waits until it answers: a guest's `nc` serves one at a time, and listens anew after each. */
    const served = async (from: string | undefined, target: string) => {
      const deadline = Date.now() + LAB_PATIENCE_MS;
      for (let found = ""; found !== "served"; found = (await reach(from, target))[target]?.trim() ?? "")
        assert.ok(Date.now() < deadline, `${target} from ${from ?? "the host"}: ${found}`);
    };
    const answers = (vm: Vm) =>
      Object.fromEntries(
        [...vm.readConsole().matchAll(/^try (\S+) (\d+): (.*?)\r?$/gm)].map(([, host, port, found]) => [
          `${host} ${port}`,
          found,
        ]),
      );
    const addressOf = (vm: Vm, family: "ipv4" | "ipv6") =>
      vm.record.network?.interfaces[0]?.[family]?.address ?? assert.fail();

    async function printed(vm: Vm, text: string): Promise<void> {
      const deadline = performance.now() + LAB_PATIENCE_MS;
      while (!vm.readConsole().includes(text)) {
        assert.ok(performance.now() < deadline, `it does not print ${text}: ${vm.readConsole()}`);
        await pause(200);
      }
    }

    describe("a Linux guest with a network", { timeout: 6 * LAB_PATIENCE_MS }, () => {
      test("reaches what is open to it by both families, and nothing else, and all else is counted", async () => {
        await using fixture = await openFixture();
        const command = tries(
          [world.public, 80],
          [world.public6, 80],
          [world.private, 443],
          [world.private, 80],
          [world.private6, 80],
          [world.metadata, 80],
          [world.host, 80],
        );
        const vm = await start(fixture, `${command}echo tried; sleep 1000`, [
          { mode: "egress", allow: [`${world.private}:443`] },
        ]);
        assert.equal(vm.inspect().isolation?.level, "proven", String(vm.inspect().isolation?.gaps));
        await printed(vm, "tried");
        const found = answers(vm);
        const open = [`${world.public} 80`, `${world.public6} 80`, `${world.private} 443`];
        assert.deepEqual(
          open.map((target) => found[target]),
          [world.host, world.host6, world.host],
          vm.readConsole(),
        );
        for (const [target, answer] of Object.entries(found))
          if (!open.includes(target))
            assert.ok(answer !== world.host && answer !== world.host6, `${target}: ${answer}`);
        const drops = await countDrops(fixture.warder.machinery, vm.id, AbortSignal.timeout(LAB_PATIENCE_MS));
        assert.ok((drops.find(({ reason }) => reason === "closed")?.packets ?? 0) >= 3, JSON.stringify(drops));
        await vm.kill();
      });

      test("can not speak in another's name", async () => {
        await using fixture = await openFixture();
        const lies =
          "try 93.184.216.34 80;ip addr add 10.6.6.6/32 dev eth0;ping -c1 -W2 -I 10.6.6.6 93.184.216.34;" +
          "ifconfig eth0 down hw ether 02:00:00:00:00:99 up;route add default gw $gateway;ping -c1 -W2 93.184.216.34;";
        const vm = await start(fixture, `${lies}echo lied; sleep 1000`, ["egress"]);
        await printed(vm, "lied");
        assert.equal(answers(vm)[`${world.public} 80`], world.host, "it reaches the world in its own name");
        assert.doesNotMatch(vm.readConsole(), /bytes from 93/);
        const drops = await countDrops(fixture.warder.machinery, vm.id, AbortSignal.timeout(LAB_PATIENCE_MS));
        assert.ok((drops.find(({ reason }) => reason === "spoofed")?.packets ?? 0) >= 2, JSON.stringify(drops));
        await vm.kill();
      });

      test("answers on its published port, to the world and the host, and another VM sees neither it nor the host", async () => {
        await using fixture = await openFixture();
        const one = await start(fixture, `serve; echo serving; sleep 1000`, [{ mode: "egress", publish: ["8080:80"] }]);
        await printed(one, "serving");
        for (const [from, target] of [
          ["world", `tcp/${world.host}/8080`],
          ["world", `tcp/${world.host6}/8080`],
          [undefined, "tcp/127.0.0.1/8080"],
        ] as const) {
          await served(from, target);
        }
        const command = tries(
          [addressOf(one, "ipv4"), 80],
          [addressOf(one, "ipv6"), 80],
          [world.host, 8080],
          [world.host, 80],
          [world.public, 80],
        );
        const two = await start(fixture, `${command}echo tried; sleep 1000`, [
          { mode: "egress", allow: ["0.0.0.0/0", "::/0"] },
        ]);
        await printed(two, "tried");
        const found = Object.values(answers(two));
        assert.equal(found.at(-1), world.host, two.readConsole());
        assert.ok(
          found.slice(0, -1).every((answer) => answer !== "served" && answer !== addressOf(two, "ipv4")),
          two.readConsole(),
        );
        await Promise.all([one.kill(), two.kill()]);
      });

      test("reaches its fellows in a network of VMs by both families, and nothing beyond", async () => {
        await using fixture = await openFixture();
        const one = await start(fixture, `serve; echo serving; sleep 1000`, ["network=blue"]);
        await printed(one, "serving");
        const command = tries([addressOf(one, "ipv4"), 80], [addressOf(one, "ipv6"), 80], [world.public, 80]);
        const two = await start(fixture, `${command}echo tried; sleep 1000`, ["network=blue"]);
        await printed(two, "tried");
        const found = Object.values(answers(two));
        assert.deepEqual(found.slice(0, 2), ["served", "served"], two.readConsole());
        assert.notEqual(found[2], world.host);
        await Promise.all([one.kill(), two.kill()]);
      });
    });
  },
  "in-lab",
  "cgroup-v2",
  "real-binaries",
);
