/**
 * The inside of a jail without a chroot: paths are translated to the jail's directory on the host, following symlinks
 * as they would be followed inside, so that none leads out. The directory is the process's working directory and the
 * translated paths are relative to it: they stay short, and they work under directories that the jailed uid can't
 * enter, as they do after a real chroot.
 */
import { readlinkSync } from "node:fs";
import { ERRNO, OsError } from "../common/os-error.ts";

/** Set only by the fake jailer, only in the environment of the Firecracker it becomes: the jail's directory. */
export const JAIL_ROOT = "WARDER_FAKE_JAIL_ROOT";

/** `uid:gid` to change to, once the program is loaded: it may lie where that user can't read. */
export const JAIL_USER = "WARDER_FAKE_JAIL_USER";

/** Set when the process stands for pid 1 of a namespace, which ignores signals it has no handler for. */
export const JAIL_PID_1 = "WARDER_FAKE_JAIL_PID_1";

/** The longest way through symlinks that the kernel takes. */
const MAX_LINKS = 40;

/** Translates a path of Firecracker's to one of this process's. */
export type Translate = (path: string) => string;

/** The translation that holds in this process. */
export function translation(environment: NodeJS.ProcessEnv): Translate {
  return environment[JAIL_ROOT] === undefined ? (path) => path : resolveInside;
}

/** Gives up root, as the jailer does before it executes Firecracker. */
export function dropPrivileges(environment: NodeJS.ProcessEnv): void {
  const [uid, gid] = (environment[JAIL_USER] ?? "").split(":");
  if (uid === undefined || gid === undefined) return;
  process.setgroups?.([]);
  process.setgid?.(Number(gid));
  process.setuid?.(Number(uid));
}

function resolveInside(path: string): string {
  const pending = components(path);
  const resolved: string[] = [];
  let links = 0;
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === "..") {
      resolved.pop();
      continue;
    }
    const target = linkTarget([...resolved, part].join("/"));
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    if (++links > MAX_LINKS) throw new OsError(ERRNO.ELOOP);
    if (target.startsWith("/")) resolved.length = 0;
    pending.unshift(...components(target));
  }
  return resolved.join("/") || ".";
}

function components(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // Not a link, not there, or not to be read: whoever opens it will be told.
    return undefined;
  }
}
