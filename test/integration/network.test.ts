import assert from "node:assert/strict";
import * as fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { openHost } from "../../src/host/real/host.ts";
import { applyInsideRules, buildNetwork } from "../../src/network/build.ts";
import { readDrops } from "../../src/network/counters.ts";
import { ensureGuard } from "../../src/network/guard.ts";
import { proveNetwork } from "../../src/network/prove.ts";
import { removeNetwork } from "../../src/network/remove.ts";
import { isWarderError } from "../../src/vm/error.ts";
import { toVmId } from "../../src/vm/id.ts";
import type { NetworkInput } from "../../src/vm/network/spec.ts";
import type { VmNetwork } from "../../src/vm/network/vm-network.ts";
import { inOwnNetwork } from "../support/network/own-network.ts";
import { endAll, ip, lie, makeWorld, plugIn, reach, serve, world } from "../support/network/world.ts";
import { MemoryLeases, networkOf } from "../support/network-plans.ts";

inOwnNetwork(import.meta.filename, () => {
  const host = openHost(process.env.PATH ?? "");
  const owner = { uid: 500_000, gid: 500_000 };
  const leases = new MemoryLeases(toVmId("x"));

  before(async () => {
    await makeWorld();
    await ensureGuard(host);
  });
  after(endAll);

  /** A VM's network that is gone when the test is. */
  async function vm(name: string, inputs: readonly NetworkInput[]): Promise<VmNetwork & AsyncDisposable> {
    const id = toVmId(name);
    const network = networkOf(inputs, { id, leases: leases.of(id) });
    await buildNetwork(host, { id, network, owner }, {});
    return { ...network, [Symbol.asyncDispose]: () => removeNetwork(host, id, network) };
  }

  const drops = async (network: VmNetwork) =>
    Object.fromEntries(
      (await readDrops(host, network))
        .filter(({ packets }) => packets > 0)
        .map(({ reason, packets }) => [reason, packets]),
    );

  const gaps = async (name: string, network: VmNetwork) =>
    (await proveNetwork(host, { id: toVmId(name), network, owner }, "held")).filter(({ ok }) => !ok);

  describe("a VM with egress", () => {
    test("reaches the public internet, in the host's name, and nothing that is private, of the host's, or metadata", async () => {
      await using network = await vm("egress", ["egress"]);
      const guest = await plugIn(network, "g-egress");
      const found = await reach(
        guest,
        `tcp/${world.public}/80`,
        `udp/${world.public}/80`,
        `tcp/${world.public6}/80`,
        `tcp/${world.private}/80`,
        `tcp/${world.private6}/80`,
        `tcp/${world.metadata}/80`,
        `tcp/${world.host}/80`,
        `tcp/${world.host6}/80`,
        `udp/${world.host}/80`,
      );
      assert.deepEqual(found, {
        [`tcp/${world.public}/80`]: world.host,
        [`udp/${world.public}/80`]: world.host,
        [`tcp/${world.public6}/80`]: world.host6,
        [`tcp/${world.private}/80`]: "timeout",
        [`tcp/${world.private6}/80`]: "timeout",
        [`tcp/${world.metadata}/80`]: "timeout",
        [`tcp/${world.host}/80`]: "timeout",
        [`tcp/${world.host6}/80`]: "timeout",
        [`udp/${world.host}/80`]: "timeout",
      });
      assert.ok(((await drops(network)).closed ?? 0) >= 3);
    });

    test("reaches what was allowed, by port and protocol, and no more", async () => {
      await using network = await vm("allowed", [
        {
          mode: "egress",
          allow: [`${world.private}:443`, `${world.private}:80/udp`, `[${world.private6}]:443`, "host:5000"],
        },
      ]);
      const guest = await plugIn(network, "g-allowed");
      const gateway = network.interfaces[0]?.ipv4?.gateway;
      const found = await reach(
        guest,
        `tcp/${world.private}/443`,
        `udp/${world.private}/80`,
        `tcp/${world.private6}/443`,
        `tcp/${gateway}/5000`,
        `tcp/${world.private}/80`,
        `udp/${world.private}/443`,
        `tcp/${gateway}/80`,
        `tcp/${world.host}/5000`,
      );
      assert.deepEqual(Object.values(found), [
        world.host,
        world.host,
        world.host6,
        network.interfaces[0]?.ipv4?.address,
        "timeout",
        "timeout",
        "timeout",
        "timeout",
      ]);
    });
  });

  describe("an isolated VM", () => {
    test("reaches nothing, and is reached by nothing", async () => {
      await using network = await vm("alone", ["isolated"]);
      const guest = await plugIn(network, "g-alone");
      await serve(guest);
      const address = network.interfaces[0]?.ipv4?.address;
      const out = await reach(guest, `tcp/${world.public}/80`, `tcp/${world.private}/80`, `tcp/${world.host}/80`);
      assert.ok(Object.values(out).every((found) => found !== world.host));
      assert.deepEqual(Object.values(await reach(undefined, `tcp/${address}/80`)), ["timeout"]);
      assert.equal(fs.existsSync(`/sys/class/net/${network.interfaces[0]?.tap}`), false);
    });

    test("reaches what was allowed alone", async () => {
      await using network = await vm("door", [{ mode: "isolated", allow: [`${world.public}:443`] }]);
      const guest = await plugIn(network, "g-door");
      const found = await reach(guest, `tcp/${world.public}/443`, `tcp/${world.public}/80`);
      assert.deepEqual(Object.values(found), [world.host, "timeout"]);
      assert.deepEqual(Object.keys(await drops(network)).includes("refused"), true);
    });
  });

  describe("a published port", () => {
    test("answers the world and the host itself, by both families, and no other port does", async () => {
      await using network = await vm("published", [
        { mode: "isolated", publish: ["8080:80", "8080:80/udp", "127.0.0.1:8443:443"] },
      ]);
      const guest = await plugIn(network, "g-published");
      await serve(guest);
      const address = network.interfaces[0]?.ipv4?.address;
      const outside = await reach(
        "world",
        `tcp/${world.host}/8080`,
        `udp/${world.host}/8080`,
        `tcp/${world.host6}/8080`,
        `tcp/${world.host}/8443`,
      );
      assert.deepEqual(Object.values(outside), [world.public, world.public, world.public6, "Connection refused"]);
      const inside = await reach(
        undefined,
        "tcp/127.0.0.1/8080",
        "tcp/127.0.0.1/8443",
        `tcp/${world.host}/8080`,
        `tcp/${address}/443`,
        `tcp/${address}/5000`,
      );
      assert.deepEqual(
        Object.values(inside).map((found) => /^[0-9.]+$/.test(found)),
        [true, true, true, true, false],
      );
      assert.ok(((await drops(network)).inbound ?? 0) > 0);
    });

    test("is closed again when the VM is gone", async () => {
      {
        await using network = await vm("closing", [{ mode: "isolated", publish: ["8081:80"], allow: ["host:5000"] }]);
        await serve(await plugIn(network, "g-closing"));
        assert.deepEqual(Object.values(await reach("world", `tcp/${world.host}/8081`)), [world.public]);
      }
      assert.deepEqual(Object.values(await reach("world", `tcp/${world.host}/8081`)), ["Connection refused"]);
    });
  });

  describe("two VMs", () => {
    test("do not see each other, whatever they are allowed", async () => {
      const everything = { mode: "egress" as const, allow: ["0.0.0.0/0", "::/0"], publish: ["9001:80"] };
      await using one = await vm("one", [everything]);
      await using two = await vm("two", [{ ...everything, publish: ["9002:80"] }]);
      const [a, b] = [await plugIn(one, "g-one"), await plugIn(two, "g-two")];
      await serve(b);
      const { ipv4, ipv6 } = two.interfaces[0] ?? {};
      const found = await reach(
        a,
        `tcp/${ipv4?.address}/80`,
        `tcp/${ipv6?.address}/80`,
        `tcp/${world.host}/9002`,
        `tcp/${world.private}/80`,
      );
      assert.deepEqual(Object.values(found), ["timeout", "timeout", "timeout", world.host]);
    });

    test("of one network reach each other by both families, and nothing else; those of another do not", async () => {
      await using one = await vm("blue-1", ["network=blue"]);
      await using two = await vm("blue-2", ["network=blue"]);
      await using three = await vm("green-1", ["network=green"]);
      const [a, b, c] = [
        await plugIn(one, "g-blue-1"),
        await plugIn(two, "g-blue-2"),
        await plugIn(three, "g-green-1"),
      ];
      await serve(b);
      const { ipv4, ipv6 } = two.interfaces[0] ?? {};
      const targets = [
        `tcp/${ipv4?.address}/80`,
        `tcp/${ipv6?.address}/80`,
        `tcp/${world.public}/80`,
        `tcp/${world.host}/80`,
      ] as const;
      const own = one.interfaces[0];
      const found = Object.values(await reach(a, ...targets));
      assert.deepEqual(found.slice(0, 2), [own?.ipv4?.address, own?.ipv6?.address]);
      assert.ok(
        found.slice(2).every((each) => each !== world.host && each !== world.host6),
        String(found),
      );
      assert.ok(Object.values(await reach(c, ...targets)).every((each) => !each.includes(".") && !each.includes(":")));
      assert.deepEqual(
        Object.values(await reach(undefined, targets[0])).filter((each) => each.includes(".")),
        [],
      );
    });
  });

  describe("a VM on a bridge of the host", () => {
    test("has an address there, reaches what egress does, and neither the host nor VMs beside it", async () => {
      ip("link add br0 type bridge");
      ip("addr add 192.168.7.1/24 dev br0");
      ip("link set dev br0 up");
      await using one = await vm("lan-1", [{ mode: "bridge", bridge: "br0", publish: ["80:80"] }]);
      await using two = await vm("lan-2", [{ mode: "bridge", bridge: "br0", allow: ["192.168.7.0/24"] }]);
      const [a, b] = [await plugIn(one, "g-lan-1"), await plugIn(two, "g-lan-2")];
      await serve(a);
      ip(`-n world route add 192.168.7.0/24 via ${world.host}`);
      const [address, beside] = [one, two].map(({ interfaces }) => interfaces[0]?.ipv4?.address);
      // What is public goes by the bridge's own address, which routes it on.
      assert.deepEqual(Object.values(await reach(a, `tcp/${world.public}/80`, `tcp/${world.private}/80`)), [
        address,
        "timeout",
      ]);
      assert.deepEqual(Object.values(await reach(a, "tcp/192.168.7.1/80")), ["timeout"]);
      assert.deepEqual(Object.values(await reach(undefined, `tcp/${address}/80`)), ["192.168.7.1"]);
      assert.deepEqual(Object.values(await reach(b, "tcp/192.168.7.1/80")), [beside]);
      assert.notEqual(Object.values(await reach(b, `tcp/${address}/80`))[0], beside);
      assert.deepEqual(await gaps("lan-1", one), []);
    });
  });

  test("a VM with two interfaces reaches by each what that one leads to, and nothing crosses over", async () => {
    await using both = await vm("both", ["egress", "network=red"]);
    await using fellow = await vm("fellow", ["network=red"]);
    await plugIn(both, "g-both", 0);
    const guest = await plugIn(both, "g-both", 1);
    await serve(await plugIn(fellow, "g-fellow"));
    const address = fellow.interfaces[0]?.ipv4?.address;
    const found = await reach(guest, `tcp/${world.public}/80`, `tcp/${address}/80`);
    assert.deepEqual(Object.values(found), [world.host, both.interfaces[1]?.ipv4?.address]);
    // Told to send the one by the other's way, it is dropped.
    ip(`-n ${guest} route add ${world.private}/32 dev eth1`);
    ip(`-n ${guest} route replace ${world.public}/32 dev eth1`);
    assert.notEqual(Object.values(await reach(guest, `tcp/${world.public}/80`))[0], world.host);
    assert.deepEqual(await gaps("both", both), []);
  });

  describe("a guest that lies", () => {
    test("about its hardware address, its addresses or another's ARP is dropped at once, and counted", async () => {
      await using network = await vm("liar", [{ mode: "egress", allow: ["0.0.0.0/0", "::/0"] }]);
      const guest = await plugIn(network, "g-liar");
      assert.deepEqual(Object.values(await reach(guest, `tcp/${world.public}/80`)), [world.host]);
      const before = (await drops(network)).spoofed ?? 0;
      ip(`-n ${guest} addr add 10.9.9.1/32 dev eth0`);
      ip(`-n ${guest} route replace ${world.public}/32 via ${network.interfaces[0]?.ipv4?.gateway} src 10.9.9.1`);
      assert.deepEqual(Object.values(await reach(guest, `udp/${world.public}/80`)), ["timeout"]);
      const afterSource = (await drops(network)).spoofed ?? 0;
      assert.ok(afterSource > before);
      const { mac = "", ipv4 } = network.interfaces[0] ?? {};
      const own = mac.replaceAll(":", "");
      const hex = (address = "") =>
        address
          .split(".")
          .map((part) => Number(part).toString(16).padStart(2, "0"))
          .join("");
      const arp = (source: string, sender: string, address: string) =>
        `ffffffffffff${source}08060001080006040001${sender}${hex(address)}000000000000${hex(ipv4?.gateway)}`;
      const lies = [
        arp("020000000099", own, ipv4?.address ?? ""),
        arp(own, "020000000099", ipv4?.address ?? ""),
        arp(own, own, "10.100.0.77"),
        arp(own, own, ipv4?.gateway ?? ""),
        // A VLAN's tag, and a protocol that is none of ours.
        `ffffffffffff${own}810000010800${"00".repeat(46)}`,
        `ffffffffffff${own}88cc${"00".repeat(46)}`,
      ];
      lie(guest, "eth0", ...lies);
      assert.equal((await drops(network)).spoofed, afterSource + lies.length);
    });

    test("can not make more new connections than it may", async () => {
      await using network = await vm("flood", [{ mode: "egress", newConnectionsPerSecond: 1 }]);
      const guest = await plugIn(network, "g-flood");
      const found = await reach(
        guest,
        ...Array.from({ length: 20 }, (_, index) => `udp/${world.public}/${1000 + index}`),
      );
      assert.equal(Object.keys(found).length, 20);
      assert.ok(((await drops(network)).flood ?? 0) >= 15);
    });
  });

  describe("the proof", () => {
    test("finds everything as it was made", async () => {
      const inputs: NetworkInput[] = [
        { mode: "egress", publish: ["9100:80"], allow: ["host:5000"] },
        "network=blue",
        "isolated",
      ];
      await using network = await vm("proof", inputs);
      const controls = await proveNetwork(host, { id: toVmId("proof"), network, owner }, "held");
      assert.deepEqual(
        controls.filter(({ ok }) => !ok),
        [],
      );
      assert.ok(controls.length >= 12);
    });

    test("names what is not: rules, devices, addresses, owners, the host's part", async () => {
      await using network = await vm("broken", [{ mode: "egress", publish: ["9101:80"] }]);
      const { tap, uplink } = network.interfaces[0] ?? {};
      const inside = (words: string) => ip(`-n fc-broken ${words}`);
      inside(`addr add 10.0.0.1/24 dev ${tap}`);
      inside("link add name extra type bridge");
      ip("netns exec fc-broken nft insert rule inet warder forward accept");
      ip("netns exec fc-broken nft add table ip other");
      ip("netns exec fc-broken nft flush chain netdev warder from-eth0");
      if (uplink?.kind === "routed") ip(`link set dev ${uplink.outside} down`);
      ip("netns exec fc-broken true");
      const found = Object.fromEntries((await gaps("broken", network)).map(({ name, found }) => [name, found]));
      assert.match(found["network.devices"] ?? "", /extra \(down\)/);
      assert.match(found["network.addresses"] ?? "", /10\.0\.0\.1\/24 dev tap/);
      assert.match(found["network.rules"] ?? "", /chain from-eth0 has 0 rules.*chain forward has \d+ rules/);
      assert.match(found["network.eth0.uplink"] ?? "", /down/);
      assert.ok(
        (await proveNetwork(host, { id: toVmId("broken"), network, owner: { uid: 1, gid: 1 } }, "held")).some(
          ({ name, ok }) => name === "network.eth0.tap" && !ok,
        ),
      );
      await applyInsideRules(host, network.namespace as never, network, {});
      const rules = (await gaps("broken", network)).find(({ name }) => name === "network.rules");
      assert.match(rules?.found ?? "", /^there is another table, ip other$/);
    });

    test("says so when the host's own rules are gone, which come back when they are asked for", async () => {
      await using network = await vm("guarded", [{ mode: "egress", publish: ["9102:80"] }]);
      ip("netns exec fc-guarded true");
      const { execFileSync } = await import("node:child_process");
      execFileSync("nft", ["flush", "ruleset"]);
      const names = (await gaps("guarded", network)).map(({ name, found }) => `${name}: ${found}`);
      assert.deepEqual(names, [
        "network.guard: the table inet warder is not there",
        "network.published: the table inet warder-guarded is not there",
      ]);
      await ensureGuard(host);
      assert.deepEqual(
        (await gaps("guarded", network)).map(({ name }) => name),
        ["network.published"],
      );
    });

    test("calls a namespace that is gone unreadable", async () => {
      const network = await vm("gone", ["isolated"]);
      await network[Symbol.asyncDispose]();
      assert.deepEqual(
        (await gaps("gone", network)).map(({ name, wanted }) => `${name} ${wanted}`),
        ["network.rules readable"],
      );
      await assert.rejects(
        readDrops(host, network),
        (error) => isWarderError(error) && error.code === "network-failed",
      );
    });
  });

  describe("making and removing", () => {
    test("leaves nothing, however often", async () => {
      const before = state();
      for (let round = 0; round < 5; round++) {
        await using _ = await vm(`round-${round}`, [
          { mode: "egress", publish: [`920${round}:80`], allow: ["host:5000"] },
          "isolated",
        ]);
      }
      assert.deepEqual(state(), before);
    });

    test("is refused with its code where a namespace or interface of the name is there, and leaves that alone", async () => {
      ip("netns add fc-taken");
      await assert.rejects(
        vm("taken", ["egress"]),
        (error) => isWarderError(error) && error.code === "network-name-taken" && /gc --dry-run/.test(error.cure ?? ""),
      );
      assert.ok(fs.existsSync("/run/netns/fc-taken"));
      ip("netns del fc-taken");
      const outside = networkOf(["egress"], { id: "taken" }).interfaces[0]?.uplink;
      assert.ok(outside?.kind === "routed");
      ip(`link add name ${outside.outside} type bridge`);
      const id = toVmId("taken");
      const network = networkOf(["egress"], { id });
      await assert.rejects(
        buildNetwork(host, { id, network, owner }, {}),
        (error) => isWarderError(error) && error.code === "network-name-taken",
      );
      await removeNetwork(host, id, network);
      assert.ok(fs.existsSync(`/sys/class/net/${outside.outside}`));
      ip(`link del dev ${outside.outside}`);
    });

    test("removes what was made half way, and what an operator has deleted already", async () => {
      const before = state();
      const id = toVmId("half");
      const network = networkOf([{ mode: "egress", publish: ["9301:80"] }], { id, leases: leases.of(id) });
      ip("netns add fc-half");
      await removeNetwork(host, id, network);
      await buildNetwork(host, { id, network, owner }, {});
      const uplink = network.interfaces[0]?.uplink;
      if (uplink?.kind === "routed") ip(`link del dev ${uplink.outside}`);
      await removeNetwork(host, id, network);
      await removeNetwork(host, id, network);
      assert.deepEqual(state(), before);
    });

    test("is given up with its signal", async () => {
      const id = toVmId("given-up");
      const network = networkOf(["egress"], { id, leases: leases.of(id) });
      await assert.rejects(buildNetwork(host, { id, network, owner }, { signal: AbortSignal.abort() }), {
        name: "AbortError",
      });
      await removeNetwork(host, id, network);
    });
  });

  function state(): unknown {
    const list = (path: string) => fs.readdirSync(path).sort();
    return {
      namespaces: list("/run/netns").filter((name) => name.startsWith("fc-")),
      devices: list("/sys/class/net"),
      tables: ip("netns list"),
    };
  }
});
