import type { FileFacts, Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { ELF_HEAD_BYTES, inspectElf } from "./elf.ts";

/** Instruction sets that Firecracker is released for, as its releases name them. */
export type Architecture = "x86_64" | "aarch64";

/** What can be wrong with a binary. `missing` covers whatever keeps it from being a program at all. */
export type BinaryProblemKind = "missing" | "not-executable" | "wrong-architecture" | "not-static" | "changeable";

/** One thing wrong with a binary. */
export interface BinaryProblem {
  readonly kind: BinaryProblemKind;
  /** A clause that names the file or directory: `/usr/bin/firecracker is writable by its group`. */
  readonly why: string;
}

/** A binary as it was found, never run. */
export interface BinaryExamination {
  /** As it was asked for. */
  readonly path: HostPath;
  /** Symbolic links resolved, as the jailer resolves them; absent where nothing is there. */
  readonly resolved?: HostPath;
  /** Empty: it can be run as root. */
  readonly problems: readonly BinaryProblem[];
}

const GROUP_OR_OTHERS_WRITE = 0o022;
const ANY_EXECUTE = 0o111;
const STICKY = 0o1000;

/**
 * Looks whether a binary can be trusted with root and can run in a jail: a static program for this machine which, like
 * every directory above it, belongs to root and is changeable by nobody else. It is not run.
 */
export function examineBinary(host: Host, path: HostPath, architecture: Architecture): BinaryExamination {
  const resolved = resolve(host, path);
  const facts = resolved === undefined ? undefined : host.files.inspect(resolved);
  if (resolved === undefined || facts === undefined) return refuse(path, "missing", `${path} does not exist`);
  if (facts.kind !== "file") return refuse(path, "missing", `${resolved} is a ${facts.kind}, not a file`);
  const problems = [
    ...executableProblems(resolved, facts),
    ...elfProblems(host, resolved, architecture),
    ...ownershipProblems(host, resolved, facts),
  ];
  return { path, resolved, problems };
}

/** The directory above a path. */
export function parentOf(path: HostPath): HostPath {
  return toHostPath(path.slice(0, path.lastIndexOf("/")) || "/");
}

/** The last component of a path. */
export function nameOf(path: HostPath): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Who but root can change what a directory holds, in one clause for each directory from the path up to `/`. */
export function directoryProblems(host: Host, directory: HostPath): string[] {
  const facts = host.files.inspect(directory);
  const own = facts === undefined ? [] : changeable(directory, facts, (facts.mode & STICKY) !== 0);
  return directory === "/" ? own : [...own, ...directoryProblems(host, parentOf(directory))];
}

function resolve(host: Host, path: HostPath): HostPath | undefined {
  try {
    return host.files.resolve(path);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return undefined;
    throw error;
  }
}

function refuse(path: HostPath, kind: BinaryProblemKind, why: string): BinaryExamination {
  return { path, problems: [{ kind, why }] };
}

function executableProblems(path: HostPath, facts: FileFacts): BinaryProblem[] {
  if ((facts.mode & ANY_EXECUTE) !== 0) return [];
  return [{ kind: "not-executable", why: `${path} is not executable` }];
}

function elfProblems(host: Host, path: HostPath, architecture: Architecture): BinaryProblem[] {
  const elf = inspectElf(host.files.readHead(path, ELF_HEAD_BYTES));
  if (elf === undefined) return [{ kind: "wrong-architecture", why: `${path} is not a 64-bit Linux program` }];
  if (elf.machine.replace("-", "_") !== architecture) {
    return [{ kind: "wrong-architecture", why: `${path} is for ${elf.machine}, and this machine is ${architecture}` }];
  }
  if (elf.isStatic === true) return [];
  const finding =
    elf.isStatic === false ? "is dynamically linked" : "may be dynamically linked: its headers are unusual";
  return [{ kind: "not-static", why: `${path} ${finding}` }];
}

function ownershipProblems(host: Host, path: HostPath, facts: FileFacts): BinaryProblem[] {
  const found = [...changeable(path, facts, false), ...directoryProblems(host, parentOf(path))];
  return found.map((why) => ({ kind: "changeable", why }));
}

/** In a sticky directory such as `/tmp` only the owner of an entry can replace it, so others' write permission is no harm. */
function changeable(path: HostPath, facts: FileFacts, isSticky: boolean): string[] {
  if (facts.uid !== 0) return [`${path} belongs to user ${facts.uid}, not to root`];
  if (isSticky || (facts.mode & GROUP_OR_OTHERS_WRITE) === 0) return [];
  return [`${path} is writable by others than root (mode ${facts.mode.toString(8)})`];
}
