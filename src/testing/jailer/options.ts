/** The jailer's command line: its flags, and the checks it makes before it touches anything. */
import { realpathSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Arguments, Flag } from "../common/arguments.ts";
import { checkInstanceId } from "../common/instance-id.ts";
import { attempt } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";
import { parseUnsigned } from "../common/rust.ts";
import { canonicalize, JailerError, valueError } from "./error.ts";

/** Everything the jailer was asked for, checked. */
export interface JailOptions {
  readonly id: string;
  readonly execFile: string;
  readonly execName: string;
  /** `<base>/<exec file name>/<id>/root`. */
  readonly root: string;
  readonly uid: number;
  readonly gid: number;
  readonly netns: string | undefined;
  readonly daemonize: boolean;
  readonly newPidNs: boolean;
  readonly parentCgroup: string;
  readonly cgroupVersion: number;
  /** `--cgroup` values as given: their check needs to know the host's cgroups. */
  readonly cgroups: readonly string[];
  readonly limits: ResourceLimits;
  readonly firecrackerArguments: readonly string[];
}

/** The two limits the jailer can set. */
export interface ResourceLimits {
  readonly fsize: bigint | undefined;
  readonly noFile: bigint;
}

export const JAILER_FLAGS: readonly Flag[] = [
  { name: "id", required: true, takesValue: true, help: "Jail ID." },
  { name: "exec-file", required: true, takesValue: true, help: "File path to exec into." },
  {
    name: "uid",
    required: true,
    takesValue: true,
    help: "The user identifier the jailer switches to after exec.",
  },
  {
    name: "gid",
    required: true,
    takesValue: true,
    help: "The group identifier the jailer switches to after exec.",
  },
  {
    name: "chroot-base-dir",
    takesValue: true,
    defaultValue: "/srv/jailer",
    help: "The base folder where chroot jails are located.",
  },
  { name: "netns", takesValue: true, help: "Path to the network namespace this microVM should join." },
  {
    name: "daemonize",
    help: "Daemonize the jailer before exec, by invoking setsid(), and redirecting the standard I/O file descriptors to /dev/null.",
  },
  { name: "new-pid-ns", help: "Exec into a new PID namespace." },
  {
    name: "cgroup",
    takesValue: true,
    allowMultiple: true,
    help: "Cgroup and value to be set by the jailer. It must follow this format: <cgroup_file>=<value> (e.g cpu.shares=10). This argument can be used multiple times to add multiple cgroups.",
  },
  {
    name: "resource-limit",
    takesValue: true,
    allowMultiple: true,
    help: "Resource limit values to be set by the jailer. It must follow this format: <resource>=<value> (e.g no-file=1024). This argument can be used multiple times to add multiple resource limits. Current available resource values are:\n\t\tfsize: The maximum size in bytes for files created by the process.\n\t\tno-file: Specifies a value one greater than the maximum file descriptor number that can be opened by this process.",
  },
  {
    name: "cgroup-version",
    takesValue: true,
    defaultValue: "1",
    help: "Select the cgroup version used by the jailer.",
  },
  {
    name: "parent-cgroup",
    takesValue: true,
    help: "Parent cgroup in which the cgroup of this microvm will be placed.",
  },
  { name: "version", help: "Print the binary version number." },
];

/** The checks in the real jailer's order: of several mistakes the same one is reported. */
export function checkOptions(given: Arguments, release: Release): Omit<JailOptions, "limits"> {
  const id = checkId(given.value("id") ?? "");
  const { execFile, execName } = checkExecFile(given.value("exec-file") ?? "", release);
  const base = checkBase(given.value("chroot-base-dir") ?? "");
  const uid = checkUserId(given.value("uid") ?? "", "uid");
  const gid = checkUserId(given.value("gid") ?? "", "gid");
  const parentCgroup = checkParentCgroup(given.value("parent-cgroup") ?? execName);
  return {
    id,
    execFile,
    execName,
    root: join(base, execName, id, "root"),
    uid,
    gid,
    netns: given.value("netns"),
    daemonize: given.has("daemonize"),
    newPidNs: given.has("new-pid-ns"),
    parentCgroup,
    cgroupVersion: checkCgroupVersion(given.value("cgroup-version") ?? ""),
    cgroups: given.values("cgroup"),
    firecrackerArguments: given.extra,
  };
}

function checkId(id: string): string {
  const problem = checkInstanceId(id);
  if (problem === undefined) return id;
  throw new JailerError(`Invalid instance ID: ${problem.display}`, `InvalidInstanceId(${problem.debug})`);
}

/** Symlinks are resolved first: a versioned binary behind a link gives its own name to the jail. */
function checkExecFile(path: string, release: Release): { execFile: string; execName: string } {
  const execFile = attempt(() => realpathSync.native(path), canonicalize(path));
  if (!statSync(execFile).isFile()) throw valueError("NotAFile", `${execFile} is not a file`, execFile);
  const execName = basename(execFile);
  if (release.execNameRule && !execName.includes("firecracker")) {
    const rule = "The filename of `--exec-file` option must contain";
    throw valueError("ExecFileName", `Invalid filename. ${rule} "firecracker": ${execName}`, execName);
  }
  return { execFile, execName };
}

function checkBase(path: string): string {
  const base = attempt(() => realpathSync.native(path), canonicalize(path));
  if (!statSync(base).isDirectory()) throw valueError("NotADirectory", `${base} is not a directory`, base);
  return base;
}

function checkUserId(text: string, name: "uid" | "gid"): number {
  const parsed = parseUnsigned(text, "u32");
  if ("problem" in parsed) throw valueError(name === "uid" ? "Uid" : "Gid", `Invalid ${name}: ${text}`, text);
  return Number(parsed.value);
}

/** A `.` counts only in front: inside a path Rust's `components()` skips it. */
function checkParentCgroup(path: string): string {
  if (!isRelativeAndPlain(path)) {
    const rule = "Path should not be absolute or contain '..' or '.'";
    throw new JailerError(`Parent cgroup path is invalid. ${rule}`, "CgroupInvalidParentPath");
  }
  return path;
}

/** Whether a path has no root, no `..` and no leading `.`. */
export function isRelativeAndPlain(path: string): boolean {
  const parts = path.split("/");
  return !path.startsWith("/") && parts[0] !== "." && !parts.includes("..");
}

/** Only the number's form is checked here; that it is 1 or 2 matters once a `--cgroup` is given. */
function checkCgroupVersion(text: string): number {
  const parsed = parseUnsigned(text, "u8");
  if ("problem" in parsed) {
    throw valueError("CgroupInvalidVersion", `${text} is an invalid cgroup version specifier`, text);
  }
  return Number(parsed.value);
}

/** Parses `--resource-limit` values; the real jailer does so after it looked at the cgroups. */
export function checkLimits(values: readonly string[]): ResourceLimits {
  let fsize: bigint | undefined;
  let noFile = 2048n;
  for (const argument of values) {
    const separator = argument.indexOf("=");
    if (separator === -1) {
      throw valueError("ResLimitFormat", `Invalid format for resources limits: ${argument}`, argument);
    }
    const name = argument.slice(0, separator);
    const value = limitValue(argument.slice(separator + 1));
    if (name === "fsize") fsize = value;
    else if (name === "no-file") noFile = value;
    else throw valueError("ResLimitArgument", `Invalid resource argument: ${name}`, name);
  }
  return { fsize, noFile };
}

function limitValue(text: string): bigint {
  const parsed = parseUnsigned(text, "u64");
  if ("value" in parsed) return parsed.value;
  const message = `Invalid limit value for resource: ${text}: ${parsed.problem}`;
  throw valueError("ResLimitValue", message, text, parsed.problem);
}
