/**
 * What a jail costs a guest that computes: `node bench/cpu.ts [rounds]`, as root. A guest counts for some seconds, with
 * and without the jailer in turns; compared is the CPU time of its vCPU for a million loops, so that a host that is
 * shared with others counts for both alike.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import type { Vm } from "../src/index.ts";
import { type BenchHost, buildGuest, median, openBenchHost } from "./host.ts";

const rounds = Number(process.argv[2] ?? 10);
const guest = buildGuest("count");
try {
  await using host = await openBenchHost();
  const costs: Record<"unjailed" | "jailed", number[]> = { unjailed: [], jailed: [] };
  for (let round = 0; round < rounds; round++) {
    // Nobody always comes first.
    const order = round % 2 === 0 ? (["unjailed", "jailed"] as const) : (["jailed", "unjailed"] as const);
    for (const name of order) costs[name].push(await costOf(host, `${name}-${round}`, name === "jailed"));
  }
  for (const [name, values] of Object.entries(costs)) {
    console.log(`${name.padEnd(10)} CPU ms for a million loops: ${spread(values)}`);
  }
  const ratios = costs.jailed.map((cost, round) => cost / (costs.unjailed[round] ?? Number.NaN));
  console.log(`jailed / unjailed, round by round: ${spread(ratios)}`);
  console.log(`overhead: ${((median(ratios) - 1) * 100).toFixed(2)} % (wanted: below 1 %)`);
} finally {
  rmSync(guest.directory, { recursive: true });
}

async function costOf({ warder, specOf }: BenchHost, id: string, jailed: boolean): Promise<number> {
  const counted = Promise.withResolvers<number>();
  let printed = "";
  const onConsole = (chunk: Uint8Array) => {
    printed += Buffer.from(chunk).toString("latin1");
    const [, digits] = /<([0-9a-f]{16})>/.exec(printed) ?? [];
    if (digits !== undefined) counted.resolve(Number(BigInt(`0x${digits}`)));
  };
  const vm = await warder.run(specOf(id, guest.path, jailed), { onConsole });
  const loops = await counted.promise;
  const milliseconds = vcpuMilliseconds(vm);
  await vm.remove({ force: true });
  return (milliseconds * 1e6) / loops;
}

/** What the scheduler counted for the vCPU's thread; once it sleeps, that grows no more. */
function vcpuMilliseconds(vm: Vm): number {
  const tasks = `/proc/${vm.inspect().pid}/task`;
  const vcpu = readdirSync(tasks).find((tid) => readFileSync(`${tasks}/${tid}/comm`, "utf8").startsWith("fc_vcpu"));
  return Number(readFileSync(`${tasks}/${vcpu}/schedstat`, "utf8").split(" ")[0]) / 1e6;
}

function spread(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `median ${median(values).toFixed(3)} (${least.toFixed(3)} to ${most.toFixed(3)}, n ${values.length})`;
}
