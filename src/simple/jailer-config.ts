/**
 * How one microVM is sandboxed: {@link JailerConfig}, apart from {@link VmConfig}, which says what runs inside.
 *
 * Security: a configuration is trusted. Whoever chooses `execFile`, `jailerBinary`, `netns` or `chrootBaseDir` chooses
 * what root runs and where it writes; only `jailerId` is safe to take from elsewhere, as it is checked by its grammar.
 *
 * @module
 */
import type { Host } from "../host/host.ts";
import { openThisMachine } from "../lifecycle/this-machine.ts";
import { type FieldProblem, systemCodeOf } from "../vm/error.ts";
import { vmIdProblem } from "../vm/id.ts";
import type { Limits } from "../vm/limits.ts";
import { pathProblem } from "../vm/path.ts";
import { uidProblem } from "../vm/size.ts";
import { MEMORY_MINIMUM_MIB, VCPUS_MAXIMUM } from "../vm/spec.ts";
import { BINARY_NOT_FOUND, refuseProblems } from "./context.ts";

/** How one microVM is sandboxed. Made by {@link jailerConfig}, or from {@link defaultJailerConfig} by spread. */
export interface JailerConfig {
  /** Name of the jail: 1 to 64 letters, digits and hyphens. No two running VMs have the same. */
  readonly jailerId: string;
  /** Firecracker's binary, static and owned by root. Default `/usr/local/bin/firecracker-v1.14.1`. */
  readonly execFile: string;
  /** The jailer's binary. Default `/usr/local/bin/jailer`, else the first `jailer` on `PATH`. */
  readonly jailerBinary: string;
  /** Directory of all jails, made where it is not there. Default `/var/jail`. */
  readonly chrootBaseDir: string;
  /** Whole CPUs that the process may use, 1 to 32. Default 1. */
  readonly cpuCount: number;
  /** Most memory of the process in MiB, at least 128, guest memory included. Default 256. */
  readonly memoryLimitMb: number;
  /** Network namespace to join, such as `/run/netns/isolated`. Absent: the host's. */
  readonly netns?: string;
  /** Absent: one that no other VM has is leased. */
  readonly uid?: number;
  /** Absent: the same number as the uid. */
  readonly gid?: number;
  /** Absent: what the host has. */
  readonly cgroupVersion?: 1 | 2;
  /** Further limits: disk throttles, CPUs to run on, processes, open files. */
  readonly limits?: Omit<Limits, "memoryBytes" | "cpuPercent">;
}

/** Where the jailer is by default; if it is not, `PATH` is looked through. */
export const DEFAULT_JAILER = "/usr/local/bin/jailer";

/**
 * The defaults. Spread them, and name the jail:
 *
 * @example
 * const config: JailerConfig = { ...defaultJailerConfig, jailerId: "secure-vm-123", cpuCount: 2, memoryLimitMb: 512 };
 */
export const defaultJailerConfig: JailerConfig = Object.freeze({
  jailerId: "warder-vm",
  execFile: "/usr/local/bin/firecracker-v1.14.1",
  jailerBinary: DEFAULT_JAILER,
  chrootBaseDir: "/var/jail",
  cpuCount: 1,
  memoryLimitMb: 256,
});

/**
 * A configuration with everything but the id by default.
 *
 * @example
 * const config = jailerConfig("secure-vm-123", { netns: "/run/netns/isolated" });
 */
export function jailerConfig(id: string, overrides: Partial<Omit<JailerConfig, "jailerId">> = {}): JailerConfig {
  return Object.freeze({ ...defaultJailerConfig, ...overrides, jailerId: id });
}

/**
 * Checks a configuration, and that Firecracker's binary is there. A missing jailer is no mistake: the start decides
 * whether it goes on without.
 *
 * @throws {@link WarderError} `invalid-argument`, or `binary-missing` where nothing else is wrong. Its text begins with
 * the first problem, and `fields` has them all.
 * @example
 * validateJailerConfig(jailerConfig("vm-1", { cpuCount: 0 })); // CPU count must be > 0
 */
export function validateJailerConfig(config: JailerConfig): void {
  refuseProblems(`checking the configuration of ${config.jailerId}`, jailerConfigProblems(config));
}

/** Everything that is wrong with a configuration, the most likely mistakes first. */
export function jailerConfigProblems(config: JailerConfig, host: Host = openThisMachine().host): FieldProblem[] {
  const { jailerId, execFile, jailerBinary, chrootBaseDir, netns, uid, gid } = config;
  const problems: Record<string, string | undefined> = {
    cpuCount: cpuProblem("CPU count", config.cpuCount),
    memoryLimitMb: memoryProblem("Memory", config.memoryLimitMb),
    execFile: pathProblem(execFile) ?? missingProblem(host, execFile),
    jailerId: vmIdProblem(jailerId),
    jailerBinary: jailerBinary === "" ? "must not be empty" : undefined,
    chrootBaseDir: pathProblem(chrootBaseDir),
    netns: netns === undefined ? undefined : pathProblem(netns),
    uid: uid === undefined ? (gid === undefined ? undefined : "is needed beside gid") : uidProblem(uid),
    gid: gid === undefined ? undefined : uidProblem(gid),
  };
  return listProblems(problems);
}

/** What is wrong with a number of CPUs, in a sentence that begins with its name. */
export function cpuProblem(name: string, count: number): string | undefined {
  if (!(count > 0)) return `${name} must be > 0`;
  if (!Number.isInteger(count)) return `${name} must be a whole number, got ${count}`;
  return count > VCPUS_MAXIMUM ? `${name} must be at most ${VCPUS_MAXIMUM}, got ${count}` : undefined;
}

/** 16 TiB: more than any host has, and still exact in bytes. */
const MEMORY_MAXIMUM_MIB = 16 * 1024 * 1024;

/** What is wrong with an amount of memory in MiB, in a sentence that begins with its name. */
export function memoryProblem(name: string, mib: number): string | undefined {
  if (!(mib >= MEMORY_MINIMUM_MIB)) return `${name} must be at least ${MEMORY_MINIMUM_MIB} MB, got ${mib}`;
  if (!Number.isInteger(mib)) return `${name} must be a whole number of MB, got ${mib}`;
  return mib > MEMORY_MAXIMUM_MIB ? `${name} must be at most ${MEMORY_MAXIMUM_MIB} MB, got ${mib}` : undefined;
}

/** Those of a table that are problems. */
export function listProblems(table: Readonly<Record<string, string | undefined>>): FieldProblem[] {
  return Object.entries(table).flatMap(([field, problem]) => (problem === undefined ? [] : [{ field, problem }]));
}

function missingProblem(host: Host, path: string): string | undefined {
  return isFile(host, path) ? undefined : `${BINARY_NOT_FOUND} ${path}`;
}

function isFile(host: Host, path: string): boolean {
  try {
    return host.files.inspectFollowing(path)?.kind === "file";
  } catch (error) {
    // A loop of links, or a directory that is not ours to look into: as good as not there.
    if (systemCodeOf(error) !== undefined) return false;
    throw error;
  }
}
