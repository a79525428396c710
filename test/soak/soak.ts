/**
 * Creates, uses and removes VMs for a long time, then compares host and manager with how they were:
 * `npm run soak -- [--cycles N] [--concurrency C] [--network SPEC]… [--json]`, as root, with real binaries. Status 1 if
 * anything is left, a cycle failed, or the manager's memory grew beyond what is allowed. With networks it runs in a
 * network namespace of its own; every VM has all of them, as `warder run --net` takes them.
 */
import * as fs from "node:fs";
import { parseArgs } from "node:util";
import { type VmSpecInput, Warder } from "../../src/index.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { isInOwnNetwork, runInOwnNetwork } from "../support/network/own-network.ts";
import { guest } from "../support/warder-fixture.ts";
import { type Footprint, footprint, leaks } from "./footprint.ts";

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: "1000" },
    concurrency: { type: "string", default: "16" },
    network: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
  },
});
const cycles = Number(values.cycles);
const concurrency = Number(values.concurrency);

/** Code is compiled, and what V8 learns of it is learnt, before the first look; networks have more of it. */
const WARM_UP_CYCLES = values.network.length === 0 ? 500 : 1_500;
/**
 * What V8 keeps of code that it has learnt grows more slowly all the time, and is below 2 KiB a cycle after the warm-up; a
 * VM whose record alone were kept would be ten.
 */
const HEAP_GROWTH_MAX_KIB = Math.max(1_024, 2 * cycles);

const directory = fs.mkdtempSync("/var/tmp/warder-soak-");
const options = {
  ...realBinaries(),
  stateDir: `${directory}/state`,
  chrootBase: `${directory}/jails`,
  parentCgroup: `warder-soak-${process.pid}`,
  reporter: { warn: () => undefined, note: () => undefined },
};
const failures: string[] = [];
process.exitCode = values.network.length > 0 && !isInOwnNetwork() ? runInOwnNetwork() : await soak();

async function soak(): Promise<number> {
  try {
    await using warder = await Warder.open(options);
    await run(warder, WARM_UP_CYCLES, "warm-up");
    const before = await settled(warder);
    const began = performance.now();
    await run(warder, cycles, "cycle");
    const seconds = (performance.now() - began) / 1000;
    return report(before, await settled(warder, before), seconds);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
    for (const top of fs.readdirSync("/sys/fs/cgroup")) {
      const path = `/sys/fs/cgroup/${top}/${options.parentCgroup}`;
      if (fs.existsSync(path)) fs.rmdirSync(path);
    }
  }
}

async function run(warder: Warder, count: number, prefix: string): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let cycle = next++; cycle < count; cycle = next++) {
      await once(warder, `${prefix}-${cycle}`, cycle).catch((error) => failures.push(`${prefix} ${cycle}: ${error}`));
      if (process.stderr.isTTY && cycle % 50 === 0) process.stderr.write(`\r${prefix} ${cycle} of ${count} `);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

/** Every way that a VM can end, in turns. */
async function once(warder: Warder, id: string, cycle: number): Promise<void> {
  const kernel = guest(cycle % 4 === 3 ? "hello" : cycle % 4 === 2 ? "flood" : "idle");
  const spec: VmSpecInput = {
    id,
    kernel,
    bootArgs: "console=ttyS0",
    networks: values.network,
    shutdown: [
      { method: "sigterm", timeoutMs: 5_000 },
      { method: "sigkill", timeoutMs: 5_000 },
    ],
  };
  const vm = await warder.run(spec);
  const { isolation } = vm.inspect();
  if (cycle % 4 !== 3 && isolation?.level !== "proven") throw new Error(`isolation is ${isolation?.level}`);
  if (cycle % 4 === 0) {
    await vm.pause();
    await vm.resume();
    await vm.stop();
  } else if (cycle % 4 === 1) await vm.kill();
  else if (cycle % 4 === 3) await vm.wait();
  await vm.remove({ force: true });
}

/**
 * Waits until what goes on in the background (spare FIFOs, ids that rest, objects that a first collection only finds to
 * be dead) is over, at most some seconds.
 */
async function settled(warder: Warder, wanted?: Footprint): Promise<Footprint> {
  for (let attempt = 0; ; attempt++) {
    const now = footprint(warder, options);
    const isAsBefore = (before: Footprint) =>
      leaks(before, now).length === 0 && now.heapKib - before.heapKib <= HEAP_GROWTH_MAX_KIB;
    if (wanted === undefined ? attempt === 5 : isAsBefore(wanted) || attempt === 50) return now;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function report(before: Footprint, after: Footprint, seconds: number): number {
  const left = leaks(before, after);
  const heapGrowthKib = after.heapKib - before.heapKib;
  if (heapGrowthKib > HEAP_GROWTH_MAX_KIB) left.push(`the manager's heap grew by ${heapGrowthKib.toFixed(0)} KiB`);
  const perSecond = cycles / seconds;
  if (values.json)
    console.log(JSON.stringify({ cycles, concurrency, seconds, perSecond, before, after, left, failures }));
  else {
    console.log(`${"".padEnd(20)}${"before".padStart(10)}${"after".padStart(10)}`);
    const rows = [
      ...Object.keys(after.counts).map((name) => [name, before.counts[name], after.counts[name]] as const),
      ["resident KiB", Math.round(before.residentKib), Math.round(after.residentKib)] as const,
      ["heap KiB", Math.round(before.heapKib), Math.round(after.heapKib)] as const,
    ];
    for (const [name, old, now] of rows) {
      console.log(`${name.padEnd(20)}${String(old).padStart(10)}${String(now).padStart(10)}`);
    }
    console.log(
      `\n${cycles} cycles, ${concurrency} at once, in ${seconds.toFixed(1)} s: ${perSecond.toFixed(1)} a second`,
    );
    for (const problem of [...left, ...failures]) console.log(`FOUND ${problem}`);
  }
  return left.length + failures.length === 0 ? 0 : 1;
}
