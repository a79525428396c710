import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import { type HostPath, type JailPath, toHostPath } from "../vm/path.ts";
import type { CgroupPlacement, JailLayout } from "../vm/record.ts";
import { hostPathOf, jailNames } from "./layout.ts";
import { refuseStrangePlace } from "./place.ts";

/** Made by this process, which is root where the jailer is used. */
const rootDirectory = { mode: 0o755 };

/** Who the jailed process is. */
export interface JailUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Device nodes which the jailer does not make but seed users expect. They are made once per chroot base and hard-linked
 * into each jail: a link takes microseconds, where `mknod` is a process. The nodes belong to root, so no jail can
 * change them.
 */
const extraNodes = [
  { name: "null", minor: "3" },
  { name: "zero", minor: "5" },
] as const;

/** Directory beside the jails that holds the nodes. Its name can not be a VM's. */
export function nodeDirectory(base: HostPath): HostPath {
  return toHostPath(`${base}/.warder-nodes`);
}

/** Makes what all jails under a base share. Idempotent; two managers may do it at once. */
export async function ensureBase(host: Host, base: HostPath): Promise<void> {
  const directory = nodeDirectory(base);
  host.files.ensureDirectory(directory, { mode: 0o700 });
  for (const { name, minor } of extraNodes) {
    const path = `${directory}/${name}`;
    if (host.files.inspect(path) !== undefined) continue;
    const made = `${path}.${host.processes.self.pid}`;
    host.files.removeFile(made);
    await host.commands.run({ tool: "mknod", args: ["-m", "666", made, "c", "1", minor] });
    publish(host, made, path);
  }
}

function publish(host: Host, made: string, path: string): void {
  try {
    host.files.hardLink(made, path);
  } catch (error) {
    // Another manager was faster, and its node is as good.
    if (systemCodeOf(error) !== "EEXIST") throw error;
  } finally {
    host.files.removeFile(made);
  }
}

/**
 * Makes the directory of a VM. Once this has returned it is ours, and may be filled and removed.
 *
 * @throws {@link WarderError} `jail-exists` where something lies there already.
 */
export function claimDirectory(host: Host, layout: JailLayout): void {
  const parent = layout.directory.slice(0, layout.directory.lastIndexOf("/"));
  host.files.ensureDirectory(parent, rootDirectory);
  makeFresh(host, layout.directory);
}

/**
 * Makes the jail's directories as far as the jailer leaves them to us. What the jailer makes by itself (`/`, `/dev`,
 * `/dev/net`, `/run`) it finds and takes over; its device nodes and pid file must not be there.
 */
export function fillJail(host: Host, layout: JailLayout, user: JailUser): void {
  for (const path of [layout.root, layout.io, `${layout.root}/io`, `${layout.root}/dev`]) {
    host.files.makeDirectory(path, rootDirectory);
  }
  for (const { name } of extraNodes) {
    host.files.hardLink(`${nodeDirectory(layout.base)}/${name}`, `${layout.root}/dev/${name}`);
  }
  makeSocketDirectory(host, layout, user);
}

/** What an unjailed VM has instead: FIFOs only. */
export async function fillUnjailed(host: Host, layout: JailLayout): Promise<void> {
  host.files.makeDirectory(layout.io, { mode: 0o700 });
  await host.fifos.make(Object.values(fifosOf(layout)));
}

/** The jailer makes `/run` only; a socket elsewhere needs its directory, owned by who binds it. */
function makeSocketDirectory(host: Host, layout: JailLayout, user: JailUser): void {
  const parts = layout.apiSocket.split("/").slice(1, -1);
  parts.forEach((_part, index) => {
    const path = hostPathOf(layout, `/${parts.slice(0, index + 1).join("/")}` as JailPath);
    host.files.ensureDirectory(path, { mode: 0o700, uid: user.uid, gid: user.gid });
  });
}

function makeFresh(host: Host, path: HostPath): void {
  try {
    host.files.makeDirectory(path, rootDirectory);
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
    throw new WarderError("jail-exists", {
      doing: `making the jail ${path}`,
      why: "something lies there already, which is not this manager's",
      cure: `Use another id, or look at \`warder gc --dry-run\``,
      cause: error,
    });
  }
}

/** The symbolic links that make the short names of a jail work: `<base>/<id>` and `<base>/<id>/cgroup`. */
export function linkJail(host: Host, layout: JailLayout, cgroup: CgroupPlacement | undefined): void {
  host.files.symbolicLink(aliasTarget(layout), layout.alias);
  if (cgroup === undefined) return;
  const link = `${layout.directory}/cgroup`;
  const controllers = Object.entries(cgroup.directories);
  if (cgroup.version === 2) {
    const [first] = controllers;
    if (first !== undefined) host.files.symbolicLink(first[1], link);
    return;
  }
  host.files.makeDirectory(link, rootDirectory);
  for (const [controller, directory] of controllers) host.files.symbolicLink(directory, `${link}/${controller}`);
}

/** The FIFOs of a jail, as the host sees them. They lie where the jailed process can not reach their names. */
export interface JailFifos {
  readonly console: HostPath;
  readonly config: HostPath;
  readonly log: HostPath;
  readonly metrics: HostPath;
}

/** Where the FIFOs lie. */
export function fifosOf(layout: JailLayout): JailFifos {
  const at = (name: string) => toHostPath(`${layout.io}/${name}`);
  return { console: at("console"), config: at("config"), log: at("log"), metrics: at("metrics") };
}

/**
 * Brings FIFOs that were made beforehand into the jail: named in `io`, which the jail does not see, and hard-linked to
 * `/io` inside it. Whatever the jailed process does to its names, the manager's lead to the same FIFOs.
 */
export function placeFifos(host: Host, layout: JailLayout, user: JailUser, spare: readonly HostPath[]): void {
  const fifos = fifosOf(layout);
  const inside = { log: jailNames.log, metrics: jailNames.metrics, config: jailNames.config };
  const names = Object.keys(fifos) as (keyof JailFifos)[];
  names.forEach((name, index) => {
    const from = spare[index];
    if (from === undefined) throw new RangeError(`${names.length} spare FIFOs are needed, not ${spare.length}`);
    host.files.rename(from, fifos[name]);
  });
  for (const [name, path] of Object.entries(inside) as [keyof JailFifos, JailPath][]) {
    host.fifos.setOwnership(fifos[name], { mode: 0o660, uid: 0, gid: user.gid });
    host.files.hardLink(fifos[name], hostPathOf(layout, path));
  }
}

/**
 * Removes the jail, its links first. Idempotent. Follows no link of the tree, and leaves other file systems alone.
 *
 * @throws {@link WarderError} `cleanup-failed` where the layout leads elsewhere: nothing was removed then.
 */
export async function removeJail(host: Host, layout: JailLayout, signal?: AbortSignal): Promise<void> {
  refuseStrangePlace(host, layout);
  if (isOurAlias(host, layout)) host.files.removeFile(layout.alias);
  if (isOutside(layout, layout.socket)) host.files.removeFile(layout.socket);
  await host.files.removeTree(layout.directory, signal);
}

/** Whether the short name is the link that {@link linkJail} makes, and not somebody else's. */
function isOurAlias(host: Host, layout: JailLayout): boolean {
  return host.files.inspect(layout.alias)?.kind === "link" && host.files.readLink(layout.alias) === aliasTarget(layout);
}

function aliasTarget(layout: JailLayout): string {
  return `${layout.execName}/${layout.id}`;
}

/** An unjailed VM's socket lies wherever it was asked for. */
function isOutside(layout: JailLayout, path: HostPath): boolean {
  return !path.startsWith(`${layout.directory}/`);
}
