import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { countDrops } from "../../src/lifecycle/network-admin.ts";
import type { Vm } from "../../src/lifecycle/vm.ts";
import type { NetworkInput } from "../../src/vm/network/spec.ts";
import { buildLabGuest, LAB_PATIENCE_MS, type LabGuest } from "../support/lab-guest.ts";
import { inOwnNetwork } from "../support/network/own-network.ts";
import { endAll, makeWorld, reach, world } from "../support/network/world.ts";
import { openFixture, type WarderFixture } from "../support/warder-fixture.ts";

/** What a guest's own scripts do (without `--`, which begins the command on the line) with what they are told on the kernel's command line. */
const SET_UP =
  "a=$(sed -n 's/.*warder.eth0=\\([^ ]*\\).*/\\1/p' /proc/cmdline); IFS=,; set all $a; shift; unset IFS; ip link set eth0 up; " +
  'ip addr add $1 dev eth0; [ -z "$2" ] || ip route add default via $2; ' +
  '[ -z "$3" ] || { ip addr add $3 dev eth0; ip -6 route add default via $4 dev eth0; sleep 3; }; ';
const TRY = 't() { echo "try $1 $2: $(nc -w 4 $1 $2 < /dev/null 2>&1)"; }; ';
const SERVE = "while :; do echo served | nc -l -p 80; done & ";

inOwnNetwork(
  import.meta.filename,
  () => {
    let guest: LabGuest | undefined;
    before(async () => {
      guest = buildLabGuest();
      await makeWorld();
    });
    after(() => {
      endAll();
      guest?.[Symbol.dispose]();
    });

    const start = (fixture: WarderFixture, command: string, networks: NetworkInput[]): Promise<Vm> =>
      fixture.warder.run(guest?.spec(`${SET_UP}${TRY}${command}`, { networks }) ?? assert.fail());
    const tries = (...targets: readonly (readonly [string, number])[]) =>
      targets.map(([host, port]) => `t ${host} ${port}; `).join("");
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
          "t 93.184.216.34 80; ip addr add 10.66.66.66/32 dev eth0; ping -c 1 -W 2 -I 10.66.66.66 93.184.216.34; " +
          "ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:99; ip link set eth0 up; ip route add default via $2; ping -c 1 -W 2 93.184.216.34; ";
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
        const one = await start(fixture, `${SERVE}echo serving; sleep 1000`, [
          { mode: "egress", publish: ["8080:80"] },
        ]);
        await printed(one, "serving");
        const outside = await reach("world", `tcp/${world.host}/8080`, `tcp/${world.host6}/8080`);
        assert.deepEqual(
          Object.values(outside).map((text) => text.trim()),
          ["served", "served"],
        );
        assert.deepEqual(
          Object.values(await reach(undefined, "tcp/127.0.0.1/8080")).map((text) => text.trim()),
          ["served"],
        );
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
        const one = await start(fixture, `${SERVE}echo serving; sleep 1000`, ["network=blue"]);
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
