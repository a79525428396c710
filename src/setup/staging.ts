import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { Binaries } from "../vm/record.ts";
import { binDirectory, cachedPair, pairIn } from "./candidates.ts";
import { directoryProblems, parentOf } from "./examine.ts";
import { type BinaryPair, type VetContext, vetPair } from "./vet.ts";

const rootOwned = { mode: 0o755, uid: 0, gid: 0 };
const rootOnly = { mode: 0o700, uid: 0, gid: 0 };
let stagings = 0;

/** What installing works with. */
export interface InstallContext extends VetContext {
  /** Warder's directory in the user's cache. */
  readonly cacheDirectory: HostPath;
}

/**
 * Runs work with a directory beside the cached binaries that nobody but root can look into, and removes it afterwards.
 * What a process that died left behind is removed first.
 *
 * @throws {@link WarderError} `permission-denied` without root; `binary-unfit` where others could change the cache.
 */
export async function withStaging<T>(context: InstallContext, work: (staging: HostPath) => Promise<T>): Promise<T> {
  const { host } = context;
  const bin = binDirectory(context.cacheDirectory);
  prepareCache(host, bin);
  await removeLeftovers(host, bin);
  const { pid, startTicks } = host.processes.self;
  stagings += 1;
  const staging = toHostPath(`${bin}/.new-${pid}-${startTicks}-${stagings}`);
  host.files.makeDirectory(staging, rootOnly);
  try {
    return await work(staging);
  } finally {
    await host.files.removeTree(staging);
  }
}

/**
 * Brings a pair out of a staging directory into the cache as `v<version>/{firecracker,jailer}`, both at once: first as
 * copies that belong to root, vetted there, then by one rename. What lies there already steps aside; VMs that run on it
 * have their own copies.
 *
 * @returns The pair in the cache.
 * @throws {@link WarderError} as {@link vetPair}.
 */
export async function installPair(context: InstallContext, staging: HostPath, pair: BinaryPair): Promise<Binaries> {
  const { host, signal } = context;
  const ready = readyDirectory(staging);
  host.files.makeDirectory(ready, rootOwned);
  const copies = pairIn(ready);
  await host.files.copy(pair.firecracker, copies.firecracker, rootOwned, signal);
  await host.files.copy(pair.jailer, copies.jailer, rootOwned, signal);
  const { version } = await vetPair(context, copies);
  const installed = cachedPair(context.cacheDirectory, version);
  publish(host, ready, parentOf(installed.firecracker), toHostPath(`${staging}/replaced`));
  return vetPair(context, installed);
}

/** Where a pair lies that is about to be installed. */
export function readyDirectory(staging: HostPath): HostPath {
  return toHostPath(`${staging}/ready`);
}

function prepareCache(host: Host, bin: HostPath): void {
  if (host.processes.effectiveUid !== 0) {
    throw new WarderError("permission-denied", {
      doing: `installing binaries into ${bin}`,
      why: "they must belong to root",
      cure: "Run `warder setup` as root",
    });
  }
  ensureDirectories(host, bin);
  const problems = directoryProblems(host, host.files.resolve(bin));
  if (problems.length === 0) return;
  throw new WarderError("binary-unfit", {
    doing: `installing binaries into ${bin}`,
    why: problems.join("; "),
    cure: "Use a cache below directories that only root can change; with sudo, `sudo -H` gives root's own",
  });
}

function ensureDirectories(host: Host, path: HostPath): void {
  if (host.files.inspectFollowing(path)?.kind === "directory") return;
  if (path !== "/") ensureDirectories(host, parentOf(path));
  host.files.ensureDirectory(path, rootOwned);
}

async function removeLeftovers(host: Host, bin: HostPath): Promise<void> {
  for (const name of host.files.list(bin)) {
    const [, pid, startTicks] = /^\.new-(\d+)-(\d+)-\d+$/.exec(name) ?? [];
    if (pid === undefined || host.processes.identify(Number(pid))?.startTicks === startTicks) continue;
    await host.files.removeTree(`${bin}/${name}`);
  }
}

/**
 * A rename on to a directory that holds something fails, so that one is moved out of the way first. Where another setup
 * published in between, its pair is the one that steps aside.
 */
function publish(host: Host, ready: HostPath, target: HostPath, aside: HostPath, attempts = 3): void {
  try {
    host.files.rename(target, `${aside}-${attempts}`);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
  }
  try {
    host.files.rename(ready, target);
  } catch (error) {
    const isTaken = ["ENOTEMPTY", "EEXIST"].includes(systemCodeOf(error) ?? "");
    if (!isTaken || attempts === 1) throw error;
    publish(host, ready, target, aside, attempts - 1);
  }
}
