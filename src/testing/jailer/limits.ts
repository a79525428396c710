/** What the jailed process gets before it is jailed: a network namespace and two resource limits. */
import { closeSync, openSync, readFileSync, statfsSync } from "node:fs";
import { attempt, ERRNO, OsError } from "../common/os-error.ts";
import { debugString } from "../common/rust.ts";
import type { JailContext } from "./context.ts";
import { JailerError, joinNetns, openFile } from "./error.ts";
import type { ResourceLimits } from "./options.ts";

/** Magic number of the file system that namespace files lie in. */
const NSFS = 0x6e736673;

/** Checks the namespace as `setns` would; the process joins it on its way into Firecracker. */
export function checkNetns(path: string | undefined, context: JailContext): void {
  if (path === undefined) return;
  closeSync(attempt(() => openSync(path, "r"), openFile(path)));
  if (statfsSync(path).type !== NSFS) throw joinNetns(new OsError(ERRNO.EINVAL));
  context.note({ action: "setns", path }, context.privileged);
}

/** Checks the limits as `setrlimit` would; they are set on the way into Firecracker. */
export function checkLimitsAllowed(limits: ResourceLimits, context: JailContext): void {
  if (limits.fsize !== undefined) checkLimit("fsize", "size of file", limits.fsize, context);
  checkLimit("no-file", "number of file descriptors", limits.noFile, context);
}

function checkLimit(resource: "fsize" | "no-file", words: string, value: bigint, context: JailContext): void {
  if (value > highestAllowed(resource)) {
    throw new JailerError(`Failed to set limit for resource: ${words}`, `Setrlimit(${debugString(words)})`);
  }
  context.note({ action: "setrlimit", resource, value: String(value) });
}

const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Root may go up to the kernel's own bound, everybody else to the hard limit. */
function highestAllowed(resource: "fsize" | "no-file"): bigint {
  if (process.getuid?.() === 0) {
    return resource === "fsize" ? UNLIMITED : BigInt(readFileSync("/proc/sys/fs/nr_open", "utf8").trim());
  }
  const label = resource === "fsize" ? "Max file size" : "Max open files";
  const line = readFileSync("/proc/self/limits", "utf8")
    .split("\n")
    .find((candidate) => candidate.startsWith(label));
  const hard = line?.slice(label.length).trim().split(/\s+/)[1] ?? "unlimited";
  return hard === "unlimited" ? UNLIMITED : BigInt(hard);
}
