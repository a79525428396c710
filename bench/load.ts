/**
 * The daemon under load: `node bench/load.ts [SECONDS [CLIENTS]]`, as root, with real binaries. Clients make VMs, look at
 * them, list and delete them, over and over; VMs are not booted, so what is measured is the daemon and its store. Prints a
 * table, and the daemon's memory.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConnectTransport } from "@connectrpc/connect-node";
import { DaemonProcess } from "../test/support/rpc/daemon-process.ts";
import { type LoadResult, load, loadSettings } from "../test/support/rpc/load.ts";
import { makeBed } from "../test/support/warder-fixture.ts";

const seconds = Number(process.argv[2] ?? 60);
const clients = Number(process.argv[3] ?? 64);
const kernel = join(import.meta.dirname, "../guests/idle.elf");
const MIB = 1024 * 1024;

await using bed = makeBed();
const directory = mkdtempSync("/var/tmp/warder-load-");
try {
  const disk = join(directory, "disk.img");
  writeFileSync(disk, Buffer.alloc(MIB));
  await using daemon = await DaemonProcess.start(bed, loadSettings);
  const transport = createConnectTransport({ baseUrl: daemon.url, httpVersion: "2" });
  const start = memoryOf(daemon.pid);
  const result = await load(transport, { clients, kernel, disk, over: AbortSignal.timeout(seconds * 1000) });
  print(result, { start, ...memoryAfter(daemon.pid) });
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function print({ latencies, errors }: LoadResult, memory: Readonly<Record<string, number>>): void {
  console.log(`${clients} clients for ${seconds} s\n\n| call | calls/s | p50 ms | p99 ms |\n|---|---|---|---|`);
  for (const [call, times] of Object.entries(latencies)) {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(1);
    console.log(`| ${call} | ${(times.length / seconds).toFixed(1)} | ${at(0.5)} | ${at(0.99)} |`);
  }
  console.log(`\nerrors: ${JSON.stringify(errors)}; memory in MiB: ${JSON.stringify(memory)}\n`);
}

/** Resident memory, in MiB. */
function memoryOf(pid: number, line = "VmRSS"): number {
  const found = new RegExp(`^${line}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round(Number(found?.[1]) / 1024);
}

function memoryAfter(pid: number) {
  return { peak: memoryOf(pid, "VmHWM"), end: memoryOf(pid) };
}
