/**
 * What a VM costs in memory, jailed and not: `node bench/memory.ts [VMs]`, as root. Starts idle VMs, and looks at their
 * Firecrackers, at this manager and at the kernel before and after.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Vm } from "../src/index.ts";
import { type BenchHost, cgroupMounts, median, openBenchHost } from "./host.ts";

const count = Number(process.argv[2] ?? 24);
const idleGuest = join(import.meta.dirname, "../guests/idle.elf");
setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** KiB for each VM. */
type Costs = Record<string, number>;

const columns: Record<string, Costs> = {};
{
  await using host = await openBenchHost();
  // The first VMs of a manager load code and fill caches, which later ones do not.
  await startAll(host, "warm-up", true, 4);
  for (const name of ["unjailed", "jailed"]) columns[name] = await costsOf(host, name, name === "jailed");
}
columns["cgroups alone"] = { "kernel memory": cgroupCost(200) };
print(columns);

async function costsOf(host: BenchHost, name: string, jailed: boolean): Promise<Costs> {
  const before = look();
  const vms = await startAll(host, name, jailed, count, true);
  const after = look();
  const processes = vms.map((vm) => String(vm.inspect().pid));
  const costs = {
    "Firecracker, resident": median(processes.map(resident)),
    "of it its own": median(processes.map(own)),
    "its shell, its own": median(processes.map(parentOf).map(own)),
    "jailers left": processesNamed("jailer") / count,
    "manager, resident": (after.manager - before.manager) / count,
    "kernel memory": (after.kernel - before.kernel) / count,
    "charged to its cgroup": median(vms.map(charged)),
  };
  await Promise.all(vms.map((vm) => vm.remove({ force: true })));
  return costs;
}

async function startAll({ warder, specOf }: BenchHost, name: string, jailed: boolean, n: number, keep = false) {
  const vms: Vm[] = [];
  for (let i = 0; i < n; i++) vms.push(await warder.run(specOf(`${name}-${i}`, idleGuest, jailed)));
  if (!keep) await Promise.all(vms.map((vm) => vm.remove({ force: true })));
  return vms;
}

/** Of this process, and of the kernel for all: KiB. */
function look(): { manager: number; kernel: number } {
  collectGarbage();
  return {
    manager: process.memoryUsage.rss() / 1024,
    kernel: ["Slab", "KernelStack", "PageTables", "SecPageTables", "Percpu"].reduce((sum, key) => sum + ofAll(key), 0),
  };
}

function ofAll(key: string): number {
  return field(readFileSync("/proc/meminfo", "utf8"), key);
}

function resident(pid: string): number {
  return field(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"), "Rss");
}

/** What is shared with no other process. */
function own(pid: string): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return field(text, "Private_Clean") + field(text, "Private_Dirty");
}

/** The shell that started Firecracker, and keeps its exit status for whoever is the manager by then. */
function parentOf(pid: string): string {
  return /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? pid;
}

/** KiB of a line `Key:   123 kB`; 0 where this kernel does not print it. */
function field(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
}

function charged(vm: Vm): number {
  const directory = vm.inspect().cgroup?.directories.memory;
  if (directory === undefined) return 0;
  const file = vm.inspect().cgroup?.version === 2 ? "memory.current" : "memory.usage_in_bytes";
  return Number(readFileSync(`${directory}/${file}`, "utf8")) / 1024;
}

function processesNamed(name: string): number {
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && nameOf(pid) === name).length;
}

function nameOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    // It has ended since.
    return undefined;
  }
}

/** Empty cgroups as a VM has them: what the kernel keeps for each. */
function cgroupCost(n: number): number {
  const tops = cgroupMounts(["memory", "cpu", "pids", "cpuacct"]);
  const directories = tops.flatMap((top) => Array.from({ length: n }, (_, i) => `${top}/bench-memory-${i}`));
  const before = look().kernel;
  for (const directory of directories) mkdirSync(directory);
  const after = look().kernel;
  for (const directory of directories) rmdirSync(directory);
  return (after - before) / n;
}

function print(costs: Record<string, Costs>): void {
  const names = Object.keys(costs);
  const rows = [...new Set(names.flatMap((name) => Object.keys(costs[name] ?? {})))];
  console.log(`KiB for each of ${count} VMs of 128 MiB\n`);
  console.log(`${"".padEnd(24)}${names.map((name) => name.padStart(15)).join("")}`);
  for (const row of rows) {
    const cells = names.map((name) => costs[name]?.[row]?.toFixed(row.includes("left") ? 2 : 0) ?? "-");
    console.log(`${row.padEnd(24)}${cells.map((cell) => cell.padStart(15)).join("")}`);
  }
}
