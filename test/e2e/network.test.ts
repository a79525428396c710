import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Step } from "../../src/lifecycle/engine.ts";
import { startSteps } from "../../src/lifecycle/start.ts";
import type { StartContext } from "../../src/lifecycle/start-context.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { toVmId } from "../../src/vm/id.ts";
import type { NetworkInput } from "../../src/vm/network/spec.ts";
import type { VmNetwork } from "../../src/vm/network/vm-network.ts";
import { requires } from "../support/capability.ts";
import { startManager } from "../support/manager-process.ts";
import { networkState } from "../support/network/network-state.ts";
import { inOwnNetwork } from "../support/network/own-network.ts";
import { guest, openFixture, type WarderFixture } from "../support/warder-fixture.ts";

inOwnNetwork(import.meta.filename, () => {
  const real = requires("root", "kvm", "real-binaries");
  const networks: NetworkInput[] = [{ mode: "egress", publish: ["8080:80"], allow: ["host:3128"] }, "network=blue"];
  const input = { kernel: guest("tick"), networks };
  const code = (expected: string) => (error: unknown) => isWarderError(error) && error.code === expected;
  const ip = (words: string) => execFileSync("ip", words.split(" "), { encoding: "utf8" });

  before(() => fs.writeFileSync("/proc/sys/net/ipv4/ip_forward", "1"));

  const state = (fixture: WarderFixture) => ({ ...fixture.snapshot(), ...networkState(), leases: allLeases(fixture) });

  function allLeases({ warder }: WarderFixture): number {
    const { leases } = warder.machinery.store;
    return (["address4", "interface", "host-port"] as const).reduce((sum, kind) => sum + leases.count(kind), 0);
  }

  const networkOf = (fixture: WarderFixture, id: string): VmNetwork => {
    const network = fixture.warder.get(id).record.network;
    assert.ok(network !== undefined);
    return network;
  };

  describe("a VM with networks", real, () => {
    test("is proven with them, tells what it has, and leaves nothing", async () => {
      await using fixture = await openFixture();
      const before = state(fixture);
      const vm = await fixture.warder.run(input);
      const { isolation, network } = vm.inspect();
      assert.equal(isolation?.level, "proven", String(isolation?.gaps));
      const names = isolation?.controls.map(({ name }) => name) ?? [];
      for (const name of [
        "network-namespace",
        "network.devices",
        "network.rules",
        "network.guard",
        "network.published",
        "network.eth0.tap",
        "network.eth1.uplink",
      ])
        assert.ok(names.includes(name), name);
      assert.equal(network?.namespace, `/run/netns/fc-${vm.id}`);
      assert.deepEqual(
        network?.interfaces.map(({ name, mode }) => `${name} ${mode}`),
        ["eth0 egress", "eth1 network"],
      );
      assert.deepEqual(network?.interfaces[0]?.published, ["*:8080->80/tcp"]);
      // Firecracker has opened both: a device that is open has a carrier.
      for (const { tap } of network?.interfaces ?? [])
        assert.match(ip(`-n fc-${vm.id} link show dev ${tap}`), /LOWER_UP/);
      assert.equal((await vm.prove()).level, "proven");
      await vm.remove({ force: true });
      assert.deepEqual(state(fixture), before);
    });

    test("with none has an empty namespace of its own, and with nothing open no way out of it", async () => {
      await using fixture = await openFixture();
      for (const networks of [[], ["isolated"]] as const) {
        await using vm = await fixture.warder.run({ kernel: guest("tick"), networks: [...networks] });
        const namespace = fs.statSync(`/run/netns/fc-${vm.id}`).ino;
        assert.equal(fs.statSync(`/proc/${vm.inspect().pid}/ns/net`).ino, namespace);
        assert.equal(vm.inspect().isolation?.level, "proven");
        assert.equal(networkOf(fixture, vm.id).interfaces[0]?.uplink, undefined);
      }
    });

    test("keeps its addresses from run to run, and its hardware address always", async () => {
      await using fixture = await openFixture();
      const vm = await fixture.warder.run({ ...input, id: "again" });
      const first = networkOf(fixture, "again");
      await using _other = await fixture.warder.run({ kernel: guest("tick"), networks: ["egress"] });
      await vm.kill();
      await vm.start();
      assert.deepEqual(networkOf(fixture, "again"), first);
      await vm.remove({ force: true });
    });

    test("takes the caller's namespace and TAP device as they are, checks them, and leaves them", async () => {
      await using fixture = await openFixture();
      ip("netns add mine");
      const run = (uid = 510_000) =>
        fixture.warder.run({ kernel: guest("tick"), uid, netns: "/run/netns/mine", networks: ["tap=tap0"] });
      await assert.rejects(
        run(),
        (error) => isWarderError(error) && error.code === "interface-unfit" && /is not there/.test(error.message),
      );
      ip("-n mine tuntap add dev tap0 mode tap");
      await assert.rejects(run(), /belongs to nobody/);
      ip("-n mine tuntap del dev tap0 mode tap");
      ip("-n mine tuntap add dev tap0 mode tap user 510000 group 510000");
      await assert.rejects(run(), /is down/);
      ip("-n mine link set dev tap0 up");
      await assert.rejects(run(510_001), /belongs to the user 510000, and the jail's is 510001/);
      const vm = await run();
      assert.equal(vm.inspect().isolation?.level, "proven");
      assert.ok(vm.inspect().isolation?.controls.some(({ name, ok }) => name === "network.eth0.tap" && ok));
      await vm.remove({ force: true });
      assert.match(ip("-n mine link show dev tap0"), /tap0/);
      ip("netns del mine");
    });
  });

  describe("a start with networks that fails at any step leaves the host as before", real, () => {
    class Planted extends Error {}
    const withStep = (name: string, change: (step: Step<StartContext>) => Step<StartContext>["run"]) =>
      startSteps.map((step) => (step.name === name ? { ...step, run: change(step) } : step));

    for (const { name } of startSteps) {
      test(`before ${name}, after it, and given up in it`, async () => {
        await using fixture = await openFixture();
        const before = state(fixture);
        const variants = [
          withStep(name, () => () => Promise.reject(new Planted())),
          withStep(name, (step) => async (context, signal) => {
            await step.run(context, signal);
            throw new Planted();
          }),
        ];
        for (const steps of variants) {
          await assert.rejects(
            fixture.warder.run(input, { steps }),
            (error) => isWarderError(error) && error.cleanup.length === 0,
          );
          assert.deepEqual(state(fixture), before);
        }
        const caller = new AbortController();
        const steps = withStep(name, (step) => (context, signal) => {
          caller.abort();
          return step.run(context, signal);
        });
        const started = fixture.warder.run(input, { steps, signal: caller.signal });
        if (name === startSteps.at(-1)?.name) await (await started).remove({ force: true });
        else await assert.rejects(started, code("aborted"));
        assert.deepEqual(state(fixture), before);
      });
    }

    test("and every step can be run twice", async () => {
      await using fixture = await openFixture();
      const before = state(fixture);
      const steps = startSteps.map((step) => ({
        ...step,
        run: async (context: StartContext, signal: AbortSignal) => {
          await step.run(context, signal);
          await step.run(context, signal);
        },
      }));
      const vm = await fixture.warder.run(input, { steps });
      assert.equal(vm.inspect().isolation?.level, "proven");
      await vm.remove({ force: true });
      assert.deepEqual(state(fixture), before);
    });
  });

  describe("a manager that is killed", real, () => {
    test("while it makes a network leaves nothing that the next one does not find, whenever that is", async () => {
      await using fixture = await openFixture();
      const before = state(fixture);
      for (const delayMs of [0, 3, 6, 10, 15, 25, 40, 80]) {
        const manager = startManager(
          fixture.options,
          `const warder = await Warder.open(options);
           const { commands } = warder.machinery.host;
           const run = commands.run.bind(commands);
           let isTold = false;
           commands.run = (request) => {
             if (request.tool === "setpriv" && !isTold) { isTold = true; tell("making"); }
             return run(request);
           };
           await warder.run(${JSON.stringify(input)}).then(() => tell("done"), () => tell("failed"));`,
        );
        assert.equal(await manager.tell(), "making");
        await pause(delayMs);
        await manager.kill();
        await (await fixture.reopen())[Symbol.asyncDispose]();
        for (const vm of fixture.warder.list({ all: true })) await vm.remove({ force: true });
        assert.deepEqual(state(fixture), before, `after ${delayMs} ms`);
      }
    });

    test("loses no VM's network; rules that were thrown away meanwhile are in force again when it is taken over", async () => {
      await using fixture = await openFixture();
      await using manager = startManager(
        fixture.options,
        `const warder = await Warder.open(options);
         tell((await warder.run(${JSON.stringify(input)})).id);
         await idle();`,
      );
      const id = toVmId(String(await manager.tell()));
      await manager.kill();
      const namespace = `/run/netns/fc-${id}`;
      execFileSync("nft", ["flush", "ruleset"]);
      execFileSync("nsenter", [`--net=${namespace}`, "nft", "flush", "ruleset"]);
      const vm = fixture.warder.get(id);
      assert.equal(vm.lookAfter(), true);
      const deadline = performance.now() + 10_000;
      const isBack = () =>
        execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).includes(`warder-${id}`) &&
        execFileSync("nsenter", [`--net=${namespace}`, "nft", "list", "tables"], { encoding: "utf8" }).includes(
          "inet warder",
        );
      while (!isBack()) {
        assert.ok(performance.now() < deadline, "the rules are not back");
        await pause(10);
      }
      const report = await vm.prove();
      assert.equal(report.level, "proven", report.gaps.join("\n"));
      await vm.remove({ force: true });
    });
  });

  describe("what goes wrong around a VM's network", real, () => {
    test("an interface that is deleted under a running VM is a gap: strict ends the VM, degrade names it", async () => {
      await using fixture = await openFixture();
      const before = state(fixture);
      const strict = await fixture.warder.run(input);
      const uplink = networkOf(fixture, strict.id).interfaces[0]?.uplink;
      assert.ok(uplink?.kind === "routed");
      ip(`link del dev ${uplink.outside}`);
      await assert.rejects(
        strict.prove(),
        (error) =>
          isWarderError(error) &&
          error.code === "isolation-gap" &&
          new RegExp(`wanted ${uplink.outside}, up, found none`).test(error.message),
      );
      assert.equal(strict.state, "exited");
      await strict.remove();
      const lax = await fixture.warder.run({ ...input, policy: "degrade" });
      ip(`-n fc-${lax.id} link del dev veth0`);
      const report = await lax.prove();
      assert.equal(report.level, "degraded");
      assert.ok(
        report.gaps.some((gap) => gap.startsWith("network.devices")),
        report.gaps.join("\n"),
      );
      await lax.remove({ force: true });
      assert.deepEqual(state(fixture), before);
    });

    test("a pool that is full refuses a VM, and has an address again when one is gone", async () => {
      await using fixture = await openFixture({ network: { ipv4Pool: "10.77.0.0/28" } });
      const vm = await fixture.warder.run({ kernel: guest("idle"), networks: ["isolated"] });
      const { leases } = fixture.warder.machinery.store;
      while (leases.take("address4", { first: 0x0a4d0002, count: 13 }, vm.id) !== undefined);
      const another = () => fixture.warder.run({ kernel: guest("idle"), networks: ["isolated"] });
      await assert.rejects(another(), code("addresses-exhausted"));
      await vm.remove({ force: true });
      await (await another()).remove({ force: true });
    });

    test("a name that is somebody else's is refused with its code, and theirs is left alone", async () => {
      await using fixture = await openFixture();
      ip("netns add fc-theirs");
      const before = networkState();
      const run = () => fixture.warder.run({ ...input, id: "theirs" });
      await assert.rejects(run(), code("network-name-taken"));
      assert.deepEqual(networkState(), before);
      ip("netns del fc-theirs");
      const vm = await run();
      await vm.kill();
      ip("netns add fc-theirs");
      await assert.rejects(vm.start(), code("network-name-taken"));
      assert.ok(fs.existsSync("/run/netns/fc-theirs"));
      ip("netns del fc-theirs");
      await vm.remove({ force: true });
    });

    test("a host that forwards nothing is refused what needs it, before anything is made", async () => {
      await using fixture = await openFixture();
      fs.writeFileSync("/proc/sys/net/ipv4/ip_forward", "0");
      await assert.rejects(
        fixture.warder.run(input),
        (error) =>
          isWarderError(error) &&
          error.code === "network-unavailable" &&
          /net\.ipv4\.ip_forward=1/.test(error.cure ?? ""),
      );
      await using _alone = await fixture.warder.run({ kernel: guest("idle"), networks: ["isolated", "network=blue"] });
      fs.writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
    });

    test("a route of the host into the pool is refused: a VM would hide somebody", async () => {
      await using fixture = await openFixture();
      ip("link add name lan0 type bridge");
      ip("link set dev lan0 up");
      ip("route add 10.100.5.0/24 dev lan0");
      await assert.rejects(
        fixture.warder.run(input),
        (error) =>
          isWarderError(error) && error.code === "address-taken" && /10\.100\.5\.0\/24 by lan0/.test(error.message),
      );
      ip("link del dev lan0");
    });

    test("kernel arguments that leave no room for the addresses are refused", async () => {
      await using fixture = await openFixture();
      const run = fixture.warder.run({ ...input, bootArgs: "a".repeat(2000) });
      await assert.rejects(
        run,
        (error) => isWarderError(error) && error.code === "invalid-argument" && error.fields[0]?.field === "bootArgs",
      );
    });

    test("and twenty VMs in a row leave nothing", async () => {
      await using fixture = await openFixture();
      const before = state(fixture);
      for (let round = 0; round < 20; round++)
        await (await fixture.warder.run({ ...input, kernel: "probe" })).remove({ force: true });
      assert.deepEqual(state(fixture), before);
    });
  });
});
