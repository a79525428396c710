import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { type NetFlag, net, toNetworks } from "../../src/cli/net-flags.ts";
import { openHost } from "../../src/host/real/host.ts";
import { buildNetwork } from "../../src/network/build.ts";
import { ensureGuard } from "../../src/network/guard.ts";
import { removeNetwork } from "../../src/network/remove.ts";
import { toVmId } from "../../src/vm/id.ts";
import { parseVmSpec } from "../../src/vm/spec.ts";
import { inOwnNetwork } from "../support/network/own-network.ts";
import { endAll, makeWorld, plugIn, reach, serve, world } from "../support/network/world.ts";
import { MemoryLeases, networkOf } from "../support/network-plans.ts";

const text = readFileSync(new URL("../../docs/networking.md", import.meta.url), "utf8");

/** Rows of the table of examples: flags, what is reached, what is not. */
const rows = [...text.matchAll(/^\| `(--net [^`]*)` \|(.*)\|(.*)\|$/gm)].map(([, flags = "", yes = "", no = ""]) => ({
  flags,
  yes: targetsIn(yes),
  no: targetsIn(no),
}));

function targetsIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, target = ""]) => target);
}

/** The words of a command line, by the flags that have them. */
function readFlags(words: string) {
  const of = (name: string) =>
    [...words.matchAll(new RegExp(`(?:^|\\s)${name} (\\S+)`, "g"))].map(([, word = ""]) => word);
  const some = (list: string[]) => (list.length === 0 ? undefined : list);
  const nets = of("--net").map((word) => {
    const parsed = net(word);
    assert.ok("value" in parsed, word);
    return parsed.value;
  });
  const lists = {
    tap: some(of("--tap")),
    cni: some(of("--cni")),
    allow: some(of("--allow")),
    publish: some(of("-p")),
    dns: some(of("--dns")),
  };
  const given = Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined));
  return toNetworks({ ...(nets.length === 0 ? {} : { net: nets as NetFlag[] }), ...given });
}

test("every command line of the documentation describes a VM", () => {
  const lines = [...text.matchAll(/^warder run ([^#\n]*)/gm)].map(([, words = ""]) => words);
  assert.ok(lines.length >= 10);
  for (const words of lines) {
    const networks = readFlags(words);
    const uid = /--uid (\d+)/.exec(words)?.[1];
    const netns = /--netns (\S+)/.exec(words)?.[1];
    assert.ok(networks !== undefined, words);
    const input = {
      kernel: "/vmlinux",
      networks,
      ...(uid === undefined ? {} : { uid: Number(uid) }),
      ...(netns === undefined ? {} : { netns }),
    };
    assert.doesNotThrow(() => parseVmSpec(input), words);
  }
});

inOwnNetwork(import.meta.filename, () => {
  const host = openHost(process.env.PATH ?? "");
  const leases = new MemoryLeases(toVmId("x"));
  before(async () => {
    await makeWorld();
    await ensureGuard(host);
  });
  after(endAll);

  async function vm(name: string, flags: string) {
    const id = toVmId(name);
    const network = networkOf(readFlags(flags) ?? [], { id, leases: leases.of(id) });
    await buildNetwork(host, { id, network, owner: { uid: 500_000, gid: 500_000 } }, {});
    return {
      network,
      guest: await plugIn(network, `g-${name}`),
      [Symbol.asyncDispose]: () => removeNetwork(host, id, network),
    };
  }

  describe("an example of the documentation", () => {
    assert.ok(rows.length >= 8);
    rows.forEach(({ flags, yes, no }, index) => {
      test(`${flags}: reaches ${yes.join(", ") || "nothing"}, and not ${no.join(", ")}`, async () => {
        await using one = await vm(`one-${index}`, flags);
        await using fellow = await vm(`two-${index}`, flags);
        await serve(fellow.guest);
        const addresses: Record<string, string | undefined> = {
          ...world,
          fellow: fellow.network.interfaces[0]?.ipv4?.address,
          gateway: one.network.interfaces[0]?.ipv4?.gateway,
        };
        const toTarget = (name: string) => {
          const [who = "", port] = name.split(":");
          return `tcp/${addresses[who] ?? assert.fail(name)}/${port}`;
        };
        const found = await reach(one.guest, ...[...yes, ...no].map(toTarget));
        const isAnswered = (name: string) => /^[0-9.]+$/.test(found[toTarget(name)] ?? "");
        assert.deepEqual(
          yes.filter((name) => !isAnswered(name)),
          [],
        );
        assert.deepEqual(no.filter(isAnswered), []);
      });
    });
  });
});
