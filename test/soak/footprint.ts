import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Warder } from "../../src/index.ts";
import { type SnapshotScope, snapshotHost } from "../support/host-snapshot.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** What a manager and its VMs take of a host. */
export interface Footprint {
  /** Everything countable: equal before and after, or something leaked. */
  readonly counts: Readonly<Record<string, number>>;
  readonly residentKib: number;
  /** Objects of the program, without the code that V8 compiles and optimises for hundreds of cycles. */
  readonly heapKib: number;
}

/** Looks at the host and at this process, after a garbage collection. */
export function footprint(warder: Warder, scope: SnapshotScope & { readonly stateDir: string }): Footprint {
  collectGarbage();
  const { files, cgroups, processes, mounts, ledger, leases } = snapshotHost({
    ...scope,
    store: warder.machinery.store,
  });
  return {
    counts: {
      "VM records": warder.list({ all: true }).length,
      "files of jails": files.length,
      cgroups: cgroups.length,
      processes: processes.length,
      children: childrenOf(process.pid),
      mounts: mounts.length,
      "network namespaces": entries("/run/netns"),
      "network interfaces": entries("/sys/class/net"),
      "tables of rules": tables(),
      "ledger entries": ledger.length,
      leases,
      "open descriptors": entries("/proc/self/fd"),
      "output directories": entries(`${scope.stateDir}/vms`),
    },
    residentKib: process.memoryUsage.rss() / 1024,
    heapKib: objectsKib(),
  };
}

function objectsKib(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => !/^(code|trusted)_/.test(name));
  return spaces.reduce((sum, { space_used_size: size }) => sum + size, 0) / 1024;
}

/** What has become more or less. */
export function leaks(before: Footprint, after: Footprint): string[] {
  return Object.entries(after.counts)
    .filter(([name, count]) => count !== before.counts[name])
    .map(([name, count]) => `${name}: ${before.counts[name]} before, ${count} after`);
}

function entries(directory: string): number {
  return fs.existsSync(directory) ? fs.readdirSync(directory).length : 0;
}

function tables(): number {
  return execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).split("\n").filter(Boolean).length;
}

function childrenOf(pid: number): number {
  return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).length;
}
