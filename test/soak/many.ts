/**
 * Many VMs under one manager that is killed: `npm run soak:many -- [--vms N] [--json]`, as root, with real binaries. Starts
 * them, kills the manager with SIGKILL, opens another, which must have them all, proven, in three seconds, and tell what each uses as its cgroup does; then removes
 * them, and nothing may be left. Status 1 otherwise.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Warder } from "../../src/index.ts";
import { usageOf } from "../../src/lifecycle/usage.ts";
import type { VmRecord } from "../../src/vm/record.ts";
import { realBinaries } from "../support/capability-probes.ts";
import { snapshotHost } from "../support/host-snapshot.ts";
import { guest } from "../support/warder-fixture.ts";

const { values } = parseArgs({
  options: {
    vms: { type: "string", default: "500" },
    json: { type: "boolean", default: false },
    /** For the process that is killed: options of its manager. */
    victim: { type: "string" },
  },
});
const count = Number(values.vms);
const AT_ONCE = 8;
const ADOPTED_WITHIN_MS = 3_000;
/** What the kernel charges lazily, in batches for each CPU. */
const MEMORY_SLACK_BYTES = 8 * 1024 * 1024;

if (values.victim !== undefined) await beVictim(JSON.parse(values.victim));
else process.exitCode = await main();

type Options = { stateDir: string; chrootBase: string; parentCgroup: string };

async function beVictim(options: Options): Promise<void> {
  const warder = await Warder.open({ ...options, reporter: { warn: () => undefined, note: () => undefined } });
  let next = 0;
  const worker = async () => {
    for (let number = next++; number < count; number = next++) {
      await warder.run({
        id: `many-${number}`,
        kernel: guest("idle"),
        bootArgs: "console=ttyS0",
        startTimeoutMs: 60_000,
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log("all run");
  await new Promise(() => setInterval(() => undefined, 1_000));
}

async function main(): Promise<number> {
  const directory = fs.mkdtempSync("/var/tmp/warder-many-");
  const options = {
    ...realBinaries(),
    stateDir: `${directory}/state`,
    chrootBase: `${directory}/jails`,
    parentCgroup: `warder-many-${process.pid}`,
  };
  const found: string[] = [];
  const began = performance.now();
  await startAndKill(options);
  const startedMs = performance.now() - began;
  let adoptedMs = 0;
  let removedMs = 0;
  let compared = 0;
  {
    const opening = performance.now();
    await using warder = await Warder.open({
      ...options,
      reporter: { warn: (what) => void found.push(what), note: () => undefined },
    });
    adoptedMs = performance.now() - opening;
    const vms = warder.list();
    const proven = vms.filter((vm) => vm.state === "running" && vm.inspect().isolation?.level === "proven");
    const owned = vms.filter((vm) => vm.record.owner?.pid === process.pid);
    if (proven.length !== count) found.push(`${proven.length} of ${count} run and are proven`);
    if (owned.length !== count) found.push(`${owned.length} of ${count} were adopted`);
    if (adoptedMs > ADOPTED_WITHIN_MS) found.push(`adoption took ${adoptedMs.toFixed(0)} ms`);
    for (const vm of vms) {
      const wrong = usageProblems(warder, vm.record);
      if (wrong.length === 0) compared++;
      found.push(...wrong.map((problem) => `${vm.id}: ${problem}`));
    }
    if (compared !== count) found.push(`usage of ${compared} of ${count} agrees with their cgroups`);
    const removing = performance.now();
    let next = 0;
    const worker = async () => {
      for (let vm = vms[next++]; vm !== undefined; vm = vms[next++]) await vm.remove({ force: true });
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    removedMs = performance.now() - removing;
    const left = snapshotHost({ ...options, store: warder.machinery.store });
    for (const [kind, value] of Object.entries(left)) {
      const amount = Array.isArray(value) ? value.length : Number(value);
      if (amount > 0 && kind !== "networkNamespaces") found.push(`${amount} ${kind} left`);
    }
  }
  fs.rmSync(directory, { recursive: true, force: true });
  for (const top of fs.readdirSync("/sys/fs/cgroup")) {
    const path = `/sys/fs/cgroup/${top}/${options.parentCgroup}`;
    if (fs.existsSync(path)) fs.rmdirSync(path);
  }
  const figures = { vms: count, startedMs, adoptedMs, removedMs, compared };
  if (values.json) console.log(JSON.stringify({ ...figures, found }));
  else {
    for (const [name, value] of Object.entries(figures))
      console.log(`${name.padEnd(12)}${value.toFixed(0).padStart(10)}`);
    for (const problem of found) console.log(`FOUND ${problem}`);
  }
  return found.length === 0 ? 0 : 1;
}

/** What a VM is said to use lies between what its cgroup's files say right before and right after. */
function usageProblems({ machinery }: Warder, record: VmRecord): string[] {
  const before = cgroupFigures(record);
  const { memoryBytes = Number.NaN, cpuMicroseconds = Number.NaN } = usageOf(machinery.host, record);
  const after = cgroupFigures(record);
  const problems: string[] = [];
  const lowest = Math.min(before.memory, after.memory) - MEMORY_SLACK_BYTES;
  const highest = Math.max(before.memory, after.memory) + MEMORY_SLACK_BYTES;
  if (!(memoryBytes > 0 && memoryBytes >= lowest && memoryBytes <= highest))
    problems.push(`${memoryBytes} bytes of memory, and its cgroup says ${before.memory}, then ${after.memory}`);
  const isInOrder = before.cpu <= cpuMicroseconds && cpuMicroseconds <= after.cpu;
  if (!(cpuMicroseconds > 0 && isInOrder))
    problems.push(`${cpuMicroseconds} µs of CPU time, and its cgroup says ${before.cpu}, then ${after.cpu}`);
  return problems;
}

/** Read here by itself, from where the kernel says that the process is. */
function cgroupFigures({ process: identity }: VmRecord): { memory: number; cpu: number } {
  const lines = fs.readFileSync(`/proc/${identity?.pid}/cgroup`, "utf8").trim().split("\n");
  const figure = (controller: string, v1: string, v2: () => number) => {
    const line = lines.map((each) => each.split(":")).find(([, names = ""]) => names.split(",").includes(controller));
    if (line === undefined) return v2();
    return Number(fs.readFileSync(`/sys/fs/cgroup/${controller}${line[2]}/${v1}`, "utf8"));
  };
  const unified = lines.find((each) => each.startsWith("0::"))?.slice(3) ?? "";
  const read = (file: string) => fs.readFileSync(`/sys/fs/cgroup${unified}/${file}`, "utf8");
  return {
    memory: figure("memory", "memory.usage_in_bytes", () => Number(read("memory.current"))),
    cpu: Math.floor(
      figure("cpuacct", "cpuacct.usage", () => 1000 * Number(/usage_usec (\d+)/.exec(read("cpu.stat"))?.[1])) / 1000,
    ),
  };
}

async function startAndKill(options: Options): Promise<void> {
  const args = ["--disable-warning=ExperimentalWarning", import.meta.filename, "--vms", String(count)];
  const victim = spawn(process.execPath, [...args, "--victim", JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise((resolve) => victim.once("close", resolve));
  for await (const line of createInterface({ input: victim.stdout })) if (line === "all run") break;
  if (victim.exitCode !== null) throw new Error(`the manager ended with status ${victim.exitCode}`);
  victim.kill("SIGKILL");
  await closed;
}
