/** The copy of the Firecracker binary in the jail: a real copy, never a link, as the real jailer makes it. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { attempt, ERRNO, OsError } from "../common/os-error.ts";
import { debugString } from "../common/rust.ts";
import type { JailContext } from "./context.ts";
import { copyFile, JailerError, pathError } from "./error.ts";
import type { JailOptions } from "./options.ts";

type Jail = Pick<JailOptions, "execFile" | "execName" | "root" | "uid" | "gid">;

/** Copies the binary into the jail, with the release's stance on what lies there already. */
export function copyBinary(jail: Jail, context: JailContext): void {
  const destination = join(jail.root, jail.execName);
  const wrap = context.release.hardenedCopy ? openError(destination) : copyFile(jail.execFile, destination);
  if (context.release.hardenedCopy) refuseLinks(destination);
  attempt(() => copy(jail, destination, context.release.hardenedCopy), wrap);
  if (!context.release.hardenedCopy) return;
  const { uid, gid } = jail;
  context.perform({ action: "chown", path: destination, uid, gid }, () => chownSync(destination, uid, gid));
}

function copy(jail: Jail, destination: string, keepsTail: boolean): void {
  if (isRunning(jail)) throw new OsError(ERRNO.ETXTBSY);
  const { mode } = statSync(jail.execFile);
  const contents = readFileSync(jail.execFile);
  const flags = constants.O_WRONLY | constants.O_CREAT | (keepsTail ? 0 : constants.O_TRUNC);
  const file = openSync(destination, flags, mode);
  writeSync(file, contents);
  closeSync(file);
  chmodSync(destination, mode & 0o7777);
}

/**
 * Whether a fake Firecracker runs in this jail. A binary that is being executed can't be written, a launcher script
 * can: the process that the pid file names, with this jail as its directory, stands for the busy binary.
 */
function isRunning(jail: Jail): boolean {
  const pidFile = join(jail.root, `${jail.execName}.pid`);
  if (!existsSync(pidFile)) return false;
  try {
    return readlinkSync(`/proc/${readFileSync(pidFile, "utf8")}/cwd`) === jail.root;
  } catch {
    // No such process, or one that belongs to somebody else.
    return false;
  }
}

const openError = (path: string) => pathError("Open", `open ${path}`, path);

function refuseLinks(destination: string): void {
  const found = lstatSync(destination, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) throw openError(destination)(new OsError(ERRNO.ELOOP));
  if (found !== undefined && found.nlink > 1) {
    throw new JailerError(`Detected hard link at: ${destination}`, `HardLink(${debugString(destination)})`);
  }
}
