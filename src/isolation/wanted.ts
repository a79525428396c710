import type { VmId } from "../vm/id.ts";
import type { HostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";

/** Which file, whatever it is called: names in a jail are an attacker's to change, these two numbers are not. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
}

/** A file that Firecracker may hold open: staged into the jail, or a FIFO of the jail. */
export interface KnownFile extends FileIdentity {
  /** What it is called in messages, such as `kernel` or `/io/log`. */
  readonly name: string;
}

/**
 * How the kernel's value is compared with the one that was asked for.
 *
 * - `exact`: the same words, whatever the white space.
 * - `pages`: a size, which the kernel rounds down to whole pages (of 4, 16 or 64 KiB).
 * - `list`: a list of CPUs or memory nodes, which the kernel writes in its own shortest form.
 * - `line`: a file with a line for each device; the line with the wanted first word must hold all other wanted words,
 *   as in `8:0 wbps=1048576` against `8:0 rbps=max wbps=1048576 riops=max wiops=max`.
 */
export type LimitRule = "exact" | "pages" | "list" | "line";

/** One value of a cgroup that was asked for. */
export interface WantedLimit {
  /** Becomes the control `limit.<name>`; not twice in one VM, and none of `open-files`, `file-size` and `core-size`. */
  readonly name: string;
  /** The cgroup's file on the host. Absent where there is no cgroup to set it in, which is a gap. */
  readonly file?: HostPath;
  readonly wanted: string;
  readonly rule: LimitRule;
}

/** What only a start with the jailer has. */
export interface WantedJail {
  readonly uid: number;
  readonly gid: number;
  /** What the process is to see as `/`. */
  readonly root: HostPath;
  /** Of `root`, taken when the manager made it: a directory that was put in its place since is a gap. */
  readonly rootIdentity: FileIdentity;
  /** Name of the jail's copy of Firecracker, in `root`. */
  readonly execName: string;
}

/** Everything that a start asked for, as far as the kernel can be asked about it. Plain data: it can be stored as JSON. */
export interface WantedIsolation {
  readonly id: VmId;
  /** Absent for a start without the jailer: its controls are compared all the same, so that each missing one is named. */
  readonly jail?: WantedJail;
  /** Network namespace that was asked for. Absent: the host's. */
  readonly netns?: HostPath;
  readonly newPidNamespace: boolean;
  /** Absent: none could be made, which is a gap. */
  readonly cgroup?: CgroupPlacement;
  readonly limits: readonly WantedLimit[];
  /** RLIMIT_NOFILE, soft and hard. Absent: any. */
  readonly openFiles?: number;
  /** RLIMIT_FSIZE in bytes, soft and hard. Absent: any. */
  readonly fileSizeBytes?: number;
  /** CPUs the process may run on, in the kernel's list form. Absent: any. */
  readonly cpus?: string;
  /** AppArmor profile with its mode (`warder (enforce)`) or SELinux context. Absent: any. */
  readonly label?: string;
  /** The FIFO that standard output and error lead to. */
  readonly console: FileIdentity;
  /** Everything else that Firecracker may hold open, the FIFOs of log, metrics and configuration included. */
  readonly files: readonly KnownFile[];
  /** `major:minor` of the host's `/dev/userfaultfd`, whose minor differs from boot to boot. Absent: there is none. */
  readonly userfaultfd?: string;
  readonly vcpus: number;
  /**
   * Firecracker is configured through its API by the VM's user: it serves it before a guest runs, and which files of
   * its jail it opens is that user's choice.
   */
  readonly apiOnly?: boolean;
}

/**
 * The identity alone of something that was inspected.
 *
 * @example
 * const facts = host.files.inspect(layout.root);
 * const rootIdentity = facts && toFileIdentity(facts);
 */
export function toFileIdentity(facts: FileIdentity): FileIdentity {
  return Object.freeze({ device: facts.device, inode: facts.inode });
}

/** Whether both are the same file. */
export function isSameFile(one: FileIdentity | undefined, other: FileIdentity | undefined): boolean {
  return one !== undefined && other !== undefined && one.device === other.device && one.inode === other.inode;
}
