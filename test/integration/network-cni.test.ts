import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { openHost } from "../../src/host/real/host.ts";
import { allocateNetwork } from "../../src/network/allocate.ts";
import { buildNetwork } from "../../src/network/build.ts";
import { readCniConfig } from "../../src/network/cni/config.ts";
import { readDrops } from "../../src/network/counters.ts";
import { proveNetwork } from "../../src/network/prove.ts";
import { removeNetwork } from "../../src/network/remove.ts";
import { toVmId } from "../../src/vm/id.ts";
import { networksSchema } from "../../src/vm/network/spec.ts";
import type { VmNetwork } from "../../src/vm/network/vm-network.ts";
import { inOwnNetwork } from "../support/network/own-network.ts";
import { endAll, ip, plugIn, reach, serve } from "../support/network/world.ts";
import { MemoryLeases, testPools } from "../support/network-plans.ts";

/** A bridge with addresses of both families, by the plugins that every distribution has. */
const conflist = {
  cniVersion: "0.4.0",
  name: "lan",
  plugins: [
    {
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      ipam: {
        type: "host-local",
        dataDir: "/run/netns/cni-leases",
        ranges: [[{ subnet: "10.22.0.0/16" }], [{ subnet: "fd00:22::/64" }]],
        routes: [{ dst: "0.0.0.0/0" }],
      },
    },
    { type: "tuning" },
  ],
};

inOwnNetwork(
  import.meta.filename,
  () => {
    const host = openHost(process.env.PATH ?? "");
    const owner = { uid: 500_000, gid: 500_000 };
    const leases = new MemoryLeases(toVmId("x"));
    before(() => {
      fs.mkdirSync("/run/netns/net.d");
      fs.writeFileSync("/run/netns/net.d/10-lan.conflist", JSON.stringify(conflist));
    });
    after(endAll);

    async function vm(name: string): Promise<{ network: VmNetwork } & AsyncDisposable> {
      const id = toVmId(name);
      const [spec] = networksSchema.parse(["cni=lan"]);
      assert.ok(spec !== undefined);
      const cni = readCniConfig(host, "lan", { config: "/run/netns/net.d", plugins: ["/usr/lib/cni"] });
      const interfaces = [{ spec, openings: [], hasIpv6: true, cni }];
      const planned = allocateNetwork({
        id,
        pools: testPools,
        leases: leases.of(id),
        hostPorts: { first: 1, count: 1 },
        interfaces,
      });
      const network = await buildNetwork(host, { id, network: planned, owner }, {}).catch(async (error) => {
        await removeNetwork(host, id, planned).catch(() => undefined);
        throw error;
      });
      return { network, [Symbol.asyncDispose]: () => removeNetwork(host, id, network) };
    }

    const leftovers = () => fs.readdirSync("/run/netns/cni-leases/lan").filter((name) => /^[0-9a-f.:]+$/.test(name));

    describe("a network that CNI plugins make", () => {
      test("is the guest's: it has the plugins' addresses, reaches its neighbours, and leaves nothing", async () => {
        {
          await using one = await vm("cni-1");
          await using two = await vm("cni-2");
          const [eth0] = one.network.interfaces;
          assert.match(eth0?.ipv4?.address ?? "", /^10\.22\.0\.\d+$/);
          assert.match(eth0?.ipv6?.address ?? "", /^fd00:22::/);
          const mac = JSON.parse(ip(`-n fc-cni-1 -j link show dev eth0`))[0].address;
          assert.equal(eth0?.mac, mac);
          const [a, b] = [await plugIn(one.network, "g-cni-1"), await plugIn(two.network, "g-cni-2")];
          await serve(b);
          const other = two.network.interfaces[0];
          const found = await reach(a, `tcp/${other?.ipv4?.address}/80`);
          assert.deepEqual(Object.values(found), [eth0?.ipv4?.address]);
          const wanted = { id: toVmId("cni-1"), network: one.network, owner };
          assert.deepEqual(
            (await proveNetwork(host, wanted, "held")).filter(({ ok }) => !ok),
            [],
          );
        }
        assert.deepEqual(leftovers(), []);
        assert.ok(!fs.existsSync("/run/netns/fc-cni-1"));
      });

      test("carries nothing that a guest sends in another's name", async () => {
        await using one = await vm("cni-liar");
        const guest = await plugIn(one.network, "g-cni-liar");
        await serve(undefined);
        assert.deepEqual(Object.values(await reach(guest, "tcp/10.22.0.1/80")), [
          one.network.interfaces[0]?.ipv4?.address,
        ]);
        ip(`-n ${guest} addr add 10.22.99.99/32 dev eth0`);
        ip(`-n ${guest} route add 10.22.0.1/32 dev eth0 src 10.22.99.99`);
        assert.deepEqual(Object.values(await reach(guest, "udp/10.22.0.1/80")), ["timeout"]);
        const spoofed = (await readDrops(host, one.network)).find(({ reason }) => reason === "spoofed");
        assert.ok((spoofed?.packets ?? 0) > 0);
      });

      test("leaves nothing where a plugin fails half way, nor where the namespace was deleted before", async () => {
        const file = "/run/netns/net.d/10-lan.conflist";
        const [bridge] = conflist.plugins;
        fs.writeFileSync(
          file,
          JSON.stringify({ ...conflist, plugins: [bridge, { type: "portmap", nonsense: true, snat: "wrong" }] }),
        );
        await assert.rejects(vm("cni-failed"), /portmap \(ADD\)/);
        fs.writeFileSync(file, JSON.stringify(conflist));
        assert.deepEqual(leftovers(), []);
        {
          await using _gone = await vm("cni-gone");
          execFileSync("ip", ["netns", "del", "fc-cni-gone"]);
        }
        assert.deepEqual(leftovers(), []);
      });
    });
  },
  "cni-plugins",
);
