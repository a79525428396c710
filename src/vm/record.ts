import type { VmExit } from "./exit.ts";
import type { VmId } from "./id.ts";
import type { IsolationReport } from "./isolation.ts";
import type { VmNetwork } from "./network/vm-network.ts";
import type { HostPath, JailPath } from "./path.ts";
import type { OwnerIdentity, ProcessIdentity } from "./process.ts";
import type { RestartProgress } from "./restart.ts";
import type { ShutdownMethod } from "./shutdown.ts";
import type { VmSpec } from "./spec.ts";
import type { VmState } from "./state.ts";

/** Where everything of one jail lies. Host paths unless said otherwise. */
export interface JailLayout {
  readonly id: VmId;
  /** The directory of all jails, symbolic links resolved as the jailer resolves them. */
  readonly base: HostPath;
  /** Name of Firecracker's file, symbolic links resolved: a level of every path and the binary's name in the jail. */
  readonly execName: string;
  /** `<base>/<execName>/<id>`: owned by root, outside what the jailed process can see. */
  readonly directory: HostPath;
  /** `<directory>/root`: what the jailed process sees as `/`. */
  readonly root: HostPath;
  /** `<directory>/io`: the FIFOs, of which the jail holds hard links. */
  readonly io: HostPath;
  /** `<base>/<id>`: a symbolic link to `directory`. */
  readonly alias: HostPath;
  /** The API socket as the host sees it. */
  readonly socket: HostPath;
  /** The API socket as Firecracker binds it. */
  readonly apiSocket: JailPath;
}

/** The cgroups of one VM: one directory for v2, one for each controller for v1. */
export interface CgroupPlacement {
  readonly version: 1 | 2;
  /** Relative to the mount: `/jailer/<id>`. */
  readonly path: string;
  /** Directory of each controller; with v2 all the same. */
  readonly directories: Readonly<Record<string, HostPath>>;
}

/** Which programs a VM runs on. */
export interface Binaries {
  /** Symbolic links resolved. */
  readonly firecracker: HostPath;
  readonly jailer: HostPath;
  /** Firecracker's, such as `1.14.1`. */
  readonly version: string;
}

/** Which programs one VM runs on: without the jailer where it is started without, and none is installed. */
export type VmBinaries = Omit<Binaries, "jailer"> & Partial<Pick<Binaries, "jailer">>;

/** A run of a VM that is over. */
export interface PastRun {
  readonly incarnation: number;
  /** Milliseconds since 1970; absent where it never came to run. */
  readonly startedAt?: number;
  readonly exit: VmExit;
}

/** So many of a VM's past runs are kept, the newest. */
export const HISTORY_MAX = 10;

/** Everything known of one VM. What the store keeps and the faces show. */
export interface VmRecord {
  readonly id: VmId;
  readonly state: VmState;
  /** Counts every change of the record. */
  readonly generation: number;
  /** Which run of the VM this is: 1 for the first, counted up by every start; 0 before the first. */
  readonly incarnation: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly spec: VmSpec;
  readonly binaries: VmBinaries;
  readonly jailed: boolean;
  /** Who Firecracker runs as: leased for a jailed VM, the manager's own user for an unjailed one. */
  readonly uid: number;
  readonly gid: number;
  readonly layout: JailLayout;
  readonly cgroup?: CgroupPlacement;
  /** Of a VM with networks, from its first run on. */
  readonly network?: VmNetwork;
  /** Of a VM with a vsock, from its first run on. */
  readonly vsock?: { readonly cid: number };
  /** The Firecracker process, once it is known. */
  readonly process?: ProcessIdentity;
  /** Which directory the jail's root is, whatever lies at its path later: taken when it was made. */
  readonly rootIdentity?: { readonly device: number; readonly inode: number };
  /** The process with the recorded pid and start time is not the VM's all the same: why, and when that was found. */
  readonly stranger?: { readonly why: string; readonly at: number };
  /** The manager process that supervises the VM; absent once it has let go. */
  readonly owner?: OwnerIdentity;
  readonly isolation?: IsolationReport;
  /** Milliseconds of each step of the start, and `total`. */
  readonly timings: Readonly<Record<string, number>>;
  /** The rung of a shutdown that was climbed last; written before it acts, by whichever process shuts the VM down. */
  readonly endedBy?: ShutdownMethod;
  /** When this run began, its isolation proven: milliseconds since 1970. */
  readonly startedAt?: number;
  /** How this run ended: there where the state is `exited` or `failed`, and only there. */
  readonly exit?: VmExit;
  /** Earlier runs, oldest first, {@link HISTORY_MAX} at most; while it is `restarting`, the one that is just over too. */
  readonly history: readonly PastRun[];
  /** There while a row of restarts goes on. */
  readonly restart?: RestartProgress;
  /** A reboot was asked for: the end of this run is followed by a start, whatever the restart policy is. */
  readonly isToReboot?: true;
  /** The idempotency key of the call that began this run, where it had one. */
  readonly startKey?: string;
}

/** The history with one more run in it. */
export function addToHistory(history: readonly PastRun[], run: PastRun): readonly PastRun[] {
  return [...history, run].slice(-HISTORY_MAX);
}

/** The record of a VM that nobody looks after any more. */
export function withoutOwner(record: VmRecord): VmRecord {
  const { owner, ...rest } = record;
  return owner === undefined ? record : rest;
}
