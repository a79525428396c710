import * as fs from "node:fs";
import { detectCgroups } from "../../src/cgroup/detect.ts";
import { openHost } from "../../src/host/real/host.ts";
import { namespaceOf } from "../../src/network/namespace.ts";
import type { Store } from "../../src/store/store.ts";

/** Everything on a host that VMs of one chroot base and cgroup parent could leave behind. Comparable as a whole. */
export interface HostSnapshot {
  readonly files: readonly string[];
  readonly cgroups: readonly string[];
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly networkNamespaces: readonly string[];
  readonly ledger: readonly string[];
  readonly leases: number;
}

/** What to look at. */
export interface SnapshotScope {
  readonly chrootBase: string;
  readonly parentCgroup: string;
  /** Of the host's network namespaces those count that belong to VMs which this store has ever had. */
  readonly store?: Store;
}

/**
 * Looks at the host. What VMs share does not count, as it is not a VM's to remove: spare FIFOs, nodes, the directory
 * that the jailer names after Firecracker, the parent of all cgroups.
 */
export function snapshotHost({ chrootBase, parentCgroup, store }: SnapshotScope): HostSnapshot {
  return {
    files: listTree(chrootBase).filter((path) => !path.startsWith(".warder-") && path !== "firecracker"),
    cgroups: listCgroups(parentCgroup),
    processes: listProcesses(chrootBase),
    mounts: fs
      .readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(chrootBase)),
    networkNamespaces: listNetworkNamespaces(store),
    ledger: (store?.ledger() ?? []).map(({ vmId, kind, name }) => `${vmId} ${kind} ${name}`),
    leases: store?.leases.count("uid") ?? 0,
  };
}

/** Tests of other files run at the same time, and namespaces are the whole host's. */
function listNetworkNamespaces(store: Store | undefined): string[] {
  const changes = store?.changes.read({ after: 0, limit: Number.MAX_SAFE_INTEGER }) ?? [];
  const ours = new Set<string>(changes.map(({ id }) => namespaceOf(id).name));
  const all = fs.existsSync("/run/netns") ? fs.readdirSync("/run/netns") : [];
  return all.filter((name) => ours.has(name)).sort();
}

function listTree(top: string): string[] {
  if (!fs.existsSync(top)) return [];
  return fs.readdirSync(top, { recursive: true, encoding: "utf8" }).sort();
}

function listCgroups(parent: string): string[] {
  const { v1, v2 } = detectCgroups(openHost());
  const mounts = [...v1, ...(v2 === undefined ? [] : [v2])].map(({ directory }) => `${directory}/${parent}`);
  return mounts.flatMap((directory) =>
    fs.existsSync(directory)
      ? fs
          .readdirSync(directory, { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map(({ name }) => `${directory}/${name}`)
      : [],
  );
}

/** A jailer has the base on its command line; a Firecracker has its root below the base. */
function listProcesses(chrootBase: string): string[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => belongsTo(pid, chrootBase));
}

function belongsTo(pid: string, chrootBase: string): boolean {
  try {
    if (fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`--chroot-base-dir\0${chrootBase}`)) return true;
    const root = fs.statSync(`/proc/${pid}/root`);
    return root.ino !== fs.statSync("/").ino && isBelow(root, chrootBase);
  } catch {
    // It ended while it was looked at.
    return false;
  }
}

function isBelow(root: fs.Stats, base: string): boolean {
  return listTree(base)
    .filter((path) => path.endsWith("/root"))
    .some((path) => {
      const stat = fs.statSync(`${base}/${path}`, { throwIfNoEntry: false });
      return stat?.ino === root.ino && stat.dev === root.dev;
    });
}
