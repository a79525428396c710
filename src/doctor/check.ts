import type { Host } from "../host/host.ts";
import type { HostPath } from "../vm/path.ts";
import type { DoctorCode } from "./catalogue.ts";
import type { ProbeOutput } from "./probe-output.ts";
import type { Verdict } from "./report.ts";

/** The settings that are checked. */
export interface DoctorSettings {
  readonly chrootBase: HostPath;
  readonly stateDir: HostPath;
  /** Absent: none is configured or could be found. */
  readonly firecracker?: HostPath;
  readonly jailer?: HostPath;
  /** Where binaries were looked for in vain, and why what was there was passed over. Default none. */
  readonly searched?: readonly { readonly source: string; readonly outcome: string }[];
  readonly uidRange: { readonly first: number; readonly count: number };
  /** The one user of all VMs, where it is set. */
  readonly jailUid?: number;
  /** Kernels and disks that are to be staged into jails. Default none. */
  readonly assets?: readonly HostPath[];
  /** Where the API socket lies inside a jail. Default `/run/firecracker.socket`. */
  readonly apiSocket?: string;
  /** Where accounts are listed. Default `/etc`. */
  readonly etcDirectory?: HostPath;
}

/** Controllers in the words of cgroup v2. */
export type CgroupController = "memory" | "cpu" | "pids" | "cpuset" | "io";

/** What the doctor needs to know of cgroups. */
export interface DoctorCgroups {
  /** The version that VMs with these controllers would be placed in; throws with the reason where there is none. */
  readonly choose: (controllers: readonly CgroupController[]) => 1 | 2;
  /** Where the jailer makes cgroups: the cgroup2 mount, or the mount of each v1 controller. */
  readonly mounts: (version: 1 | 2, controllers: readonly CgroupController[]) => readonly HostPath[];
  /** Throws where the parent cgroup can not have VMs' cgroups below it. */
  readonly checkParent: (version: 1 | 2, controllers: readonly CgroupController[]) => void;
}

/** A binary as it was found, never run: what the setup room's `examineBinary` gives. */
export interface BinaryReport {
  readonly path: HostPath;
  readonly resolved?: HostPath;
  readonly problems: readonly { readonly kind: string; readonly why: string }[];
}

/** What the doctor needs of other rooms. */
export interface DoctorDeps {
  readonly examineBinary: (path: HostPath) => BinaryReport;
  /** Runs a binary with `--version`. Called only for binaries that nothing is wrong with. */
  readonly readVersion: (binary: HostPath, signal: AbortSignal) => Promise<string>;
  readonly supportOf: (version: string) => { readonly supported: boolean; readonly why: string };
  /** Who but root can change what a directory holds, in one clause each, up to `/`. */
  readonly directoryProblems: (directory: HostPath) => readonly string[];
  readonly cgroups: DoctorCgroups;
  /** All that is wrong with the state database, one text each; `undefined` where there is none yet. */
  readonly stateProblems: () => readonly string[] | undefined;
  /** A route of the host's own into the pool of VMs' addresses, as a clause. */
  readonly conflictingRoute: () => string | undefined;
  /** Jails and runs the built-in guest. Absent: not asked for. */
  readonly runProbe?: (signal: AbortSignal) => Promise<ProbeOutput>;
}

/** What a check works with. */
export interface CheckContext {
  readonly host: Host;
  readonly settings: DoctorSettings;
  readonly deps: DoctorDeps;
  /** Fires at the check's deadline, and when the caller gives up. */
  readonly signal: AbortSignal;
  /** The one run of the probe that several checks look at; `undefined` where it was not asked for. */
  readonly probe: (() => Promise<ProbeOutput>) | undefined;
}

/**
 * One check. It tries things rather than looks at them where that is cheap, leaves nothing behind, and knows of no
 * other check. What it throws becomes a finding.
 */
export interface Check {
  readonly code: DoctorCode;
  /** Default 10 000. */
  readonly deadlineMs?: number;
  readonly run: (context: CheckContext) => Verdict | Promise<Verdict>;
}

/** Controllers without which nothing is jailed. */
export const neededControllers: readonly CgroupController[] = Object.freeze(["memory", "cpu", "pids"]);
