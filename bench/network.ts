/**
 * What a VM's network costs to make and to remove: by Warder, beside the same commands run bare, one process each as in
 * most managers' scripts, and in batches from a shell. All three make the same devices, addresses and rules.
 *
 *   node bench/network.ts [--rounds N] [--net MODE]      # figures, in milliseconds
 *   node bench/network.ts --cycles 1000                  # makes and removes so many, and looks for what is left
 *
 * Runs in a network and a mount namespace of its own; needs root.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { openHost } from "../src/host/real/host.ts";
import { allocateNetwork } from "../src/network/allocate.ts";
import { buildNetwork } from "../src/network/build.ts";
import { ensureGuard } from "../src/network/guard.ts";
import { hostBatch, insideBatch, insideIpv6Batch } from "../src/network/ip-batch.ts";
import { removeNetwork } from "../src/network/remove.ts";
import { replaceTables } from "../src/network/rules/document.ts";
import { insideTables } from "../src/network/rules/inside.ts";
import { insideSettings, type NetworkSetting } from "../src/network/sysctls.ts";
import { toVmId, type VmId } from "../src/vm/id.ts";
import { toCidr } from "../src/vm/network/cidr.ts";
import { networksSchema } from "../src/vm/network/spec.ts";
import type { VmNetwork } from "../src/vm/network/vm-network.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "30" },
    cycles: { type: "string" },
    net: { type: "string", default: "egress" },
  },
});
const MARK = "BENCH_OWN_NETWORK";
const ENTER = `mount --make-rprivate / && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && mount -t sysfs sysfs /sys && exec "$@"`;

async function main(): Promise<void> {
  const host = machine;
  await ensureGuard(host);
  const before = left();
  if (values.cycles !== undefined) await cycle(Number(values.cycles));
  else await compare(Number(values.rounds));
  assert.deepEqual(left(), before, "something was left behind");

  async function cycle(count: number): Promise<void> {
    const began = performance.now();
    for (let index = 0; index < count; index++) {
      const id = toVmId(`cycle-${index}`);
      const network = networkOf(id, index);
      await buildNetwork(host, { id, network, owner }, {});
      await removeNetwork(host, id, network);
    }
    console.log(
      `${count} networks made and removed in ${((performance.now() - began) / 1000).toFixed(1)} s; nothing is left`,
    );
  }

  async function compare(rounds: number): Promise<void> {
    const figures: Record<string, number[]> = {};
    const note = (name: string, milliseconds: number) => {
      figures[name] = [...(figures[name] ?? []), milliseconds];
    };
    for (let round = 0; round < rounds; round++) {
      for (const [name, build] of Object.entries(contestants)) {
        const id = toVmId(`${name.replaceAll(/\W/g, "-")}-${round}`);
        const network = networkOf(id, round);
        note(name, await timed(() => build(id, network)));
        note(`${name}, removal`, await timed(() => removeNetwork(host, id, network)));
      }
    }
    console.log("| | least | median | nine of ten |\n|---|---|---|---|");
    for (const [name, times] of Object.entries(figures).filter(
      ([name]) => !name.endsWith("removal") || name.startsWith("warder"),
    ))
      console.log(`| ${name} | ${[0, 0.5, 0.9].map((part) => at(times, part)).join(" | ")} |`);
  }
}

const machine = openHost(process.env.PATH ?? "");
const owner = { uid: 500_000, gid: 500_000 };

/** What makes a network; each the same one. */
const contestants: Readonly<Record<string, (id: VmId, network: VmNetwork) => unknown>> = {
  "commands, one by one": (id, network) => shell(oneByOne(id, network)),
  "commands, in batches": (id, network) => shell(inBatches(id, network)),
  warder: (id, network) => buildNetwork(machine, { id, network, owner }, {}),
};

function networkOf(id: VmId, index: number): VmNetwork {
  const specs = networksSchema.parse([values.net]);
  return allocateNetwork({
    id,
    pools: { ipv4: toCidr("10.100.0.0/16"), ipv6: toCidr("fd57:6172:6465::/64") },
    hostPorts: { first: 20_000, count: 1 },
    leases: { lease: (_kind, { first, count }) => first + (index % count), claim: () => true },
    interfaces: specs.map((spec) => ({ spec, openings: [], hasIpv6: true })),
  });
}

function oneByOne(id: VmId, network: VmNetwork): string {
  const [outside, inside, ipv6] = batches(id, network);
  const lines = (text: string, prefix: string) =>
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => `${prefix} ${line}`);
  return [
    ...lines(outside, "ip"),
    ...lines(inside, `ip -n ${nameOf(network)}`),
    ...lines(ipv6, `ip -6 -n ${nameOf(network)}`),
    ...insideSettings(network).map(
      (setting) => `ip netns exec ${nameOf(network)} sysctl -q -w ${nameOfSetting(setting)}`,
    ),
    `ip netns exec ${nameOf(network)} nft -j -f ${rulesFile(network)}`,
  ].join("\n");
}

function inBatches(id: VmId, network: VmNetwork): string {
  const [outside, inside, ipv6] = batches(id, network);
  const settings = insideSettings(network).map(nameOfSetting).join(" ");
  return [
    `ip -batch - <<'END'\n${outside}END`,
    `ip -n ${nameOf(network)} -batch - <<'END'\n${inside}END`,
    ...(ipv6 === "" ? [] : [`ip -6 -n ${nameOf(network)} -batch - <<'END'\n${ipv6}END`]),
    ...(settings === "" ? [] : [`ip netns exec ${nameOf(network)} sysctl -q -w ${settings}`]),
    `ip netns exec ${nameOf(network)} nft -j -f ${rulesFile(network)}`,
  ].join("\n");
}

function batches(id: VmId, network: VmNetwork): [string, string, string] {
  const { namespace } = network;
  assert.ok(namespace !== undefined);
  return [hostBatch(id, namespace, network), insideBatch(id, network, owner), insideIpv6Batch(network)];
}

function nameOf({ namespace }: VmNetwork): string {
  return namespace?.name ?? "";
}

function nameOfSetting({ file, value }: NetworkSetting): string {
  return `net.${file.replaceAll("/", ".")}=${value}`;
}

function rulesFile(network: VmNetwork): string {
  const path = `/run/netns/${nameOf(network)}.rules`;
  writeFileSync(path, JSON.stringify(replaceTables(insideTables(network))));
  return path;
}

function shell(script: string): void {
  execFileSync("sh", ["-e", "-c", script]);
}

async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function at(times: readonly number[], part: number): string {
  const sorted = times.toSorted((one, other) => one - other);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1);
}

function left(): unknown {
  const namespaces = readdirSync("/run/netns").filter((name) => name.startsWith("fc-") && !name.endsWith(".rules"));
  return { namespaces, devices: readdirSync("/sys/class/net") };
}

if (process.env[MARK] === "1") await main();
else {
  const command = [
    "--net",
    "--mount",
    "sh",
    "-c",
    ENTER,
    "sh",
    process.execPath,
    ...process.execArgv,
    ...process.argv.slice(1),
  ];
  process.exitCode =
    spawnSync("unshare", command, { stdio: "inherit", env: { ...process.env, [MARK]: "1" } }).status ?? 1;
}
