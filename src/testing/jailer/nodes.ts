/** The jail's directories and device nodes. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, rmdirSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { attempt, ERRNO, OsError } from "../common/os-error.ts";
import type { JailContext } from "./context.ts";
import { changeOwner, createDirectory, makeNode, pathError } from "./error.ts";
import type { JailOptions } from "./options.ts";

type Jail = Pick<JailOptions, "root" | "uid" | "gid">;

interface Device {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
  /** Without it MMDS version 2 is off, and nothing else: its failure is a warning. */
  readonly optional?: boolean;
}

/** Stands for `unshare`, `pivot_root` and what belongs to it: of all that, only `old_root` can be seen to fail. */
export function enterJail(jail: Jail, context: JailContext): void {
  context.perform({ action: "unshare", namespace: "mnt" }, () => requireRoot());
  const oldRoot = join(jail.root, "old_root");
  const failure = "create the jail root directory before pivoting root";
  attempt(() => mkdirSync(oldRoot), pathError("MkdirOldRoot", failure));
  rmdirSync(oldRoot);
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw pathError("UnshareNewNs", "unshare into new mount namespace")(new OsError(ERRNO.EPERM));
}

/** Four directories get the jailed uid and 0700; whatever else lies in the jail is left alone. */
export function createDirectories(jail: Jail, context: JailContext): void {
  for (const path of ["/", "/dev", "/dev/net", "/run"]) {
    const onHost = join(jail.root, path);
    attempt(() => mkdirSync(onHost, { recursive: true }), createDirectory(path));
    attempt(() => chmodSync(onHost, 0o700), pathError("Chmod", `change permissions on ${path}`, path));
    giveAway(path, jail, context);
  }
}

/** Makes the device nodes in order, up to the first that is there already: that one is fatal. */
export function createDevices(jail: Jail, context: JailContext): void {
  const all = devices().map((device) => ({ ...device, isThere: exists(join(jail.root, device.path)) }));
  const obstacle = all.find((device) => device.isThere && device.optional !== true);
  const reached = obstacle === undefined ? all : all.slice(0, all.indexOf(obstacle));
  const missing = reached.filter((device) => !device.isThere);
  if (context.privileged) makeNodes(missing, jail);
  for (const device of reached) {
    if (device.isThere) warnOf(device);
    else finishDevice(device, jail, context);
  }
  if (obstacle !== undefined) throw makeNode(obstacle.path)(new OsError(ERRNO.EEXIST));
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function warnOf({ path }: Device): void {
  const { message } = makeNode(path)(new OsError(ERRNO.EEXIST));
  const consequence = "MMDS version 2 will not be available to use.";
  writeSync(1, `Warning! Could not create ${path} device inside jailer: ${message}.\n${consequence}\n`);
}

function devices(): readonly Device[] {
  const userfaultfd = userfaultfdMinor();
  return [
    { path: "/dev/net/tun", major: 10, minor: 200 },
    { path: "/dev/kvm", major: 10, minor: 232 },
    { path: "/dev/urandom", major: 1, minor: 9, optional: true },
    ...(userfaultfd === undefined ? [] : [{ path: "/dev/userfaultfd", major: 10, minor: userfaultfd }]),
  ];
}

/** Its minor number is given out when the kernel starts; without the device there is no node. */
function userfaultfdMinor(): number | undefined {
  const match = /^\s*(\d+) userfaultfd$/m.exec(readFileSync("/proc/misc", "utf8"));
  return match === null ? undefined : Number(match[1]);
}

const MAKE_NODES = 'while [ $# -gt 0 ]; do mknod -m 600 "$1" c "$2" "$3"; shift 3; done';

/** Node.js has no `mknod`, coreutils has; one shell makes them all. */
function makeNodes(wanted: readonly Device[], { root }: Jail): void {
  const words = wanted.flatMap(({ path, major, minor }) => [join(root, path), String(major), String(minor)]);
  spawnSync("/bin/sh", ["-c", MAKE_NODES, "sh", ...words], { env: {}, stdio: "ignore" });
}

/** A node that could not be made is one that this user may not make; without root a file stands for each. */
function finishDevice({ path, major, minor }: Device, jail: Jail, context: JailContext): void {
  const onHost = join(jail.root, path);
  context.perform({ action: "mknod", path, major, minor }, () => {
    if (!exists(onHost)) throw makeNode(path)(new OsError(ERRNO.EPERM));
  });
  if (!context.privileged) writeFileSync(onHost, `c ${major} ${minor}\n`, { mode: 0o600 });
  giveAway(path, jail, context);
}

function giveAway(path: string, { root, uid, gid }: Jail, context: JailContext): void {
  context.perform({ action: "chown", path, uid, gid }, () =>
    attempt(() => chownSync(join(root, path), uid, gid), changeOwner(path)),
  );
}
