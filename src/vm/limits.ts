import type { Bytes } from "./size.ts";

/**
 * What a VM's Firecracker process may use, in terms that hold for cgroup v1 and v2 alike. An absent member is not
 * limited, but its controller's cgroup is joined all the same where it belongs to the three that are always named
 * (memory, cpu, pids): a VM must never stay in its manager's cgroup.
 */
export interface Limits {
  /** Most memory that the process and its page cache may hold, guest memory included. */
  readonly memoryBytes?: Bytes;
  /** CPU time in percent of one core: 100 is one core, 150 one and a half. */
  readonly cpuPercent?: number;
  /** Share of CPU time under contention, 1 to 10000, default of the kernel: 100. */
  readonly cpuWeight?: number;
  /** CPUs that may be used, in the kernel's list form: `0-3,8`. */
  readonly cpus?: string;
  /** Memory nodes that may be used, in the kernel's list form: `0`. Needed beside `cpus` on cgroup v1. */
  readonly memoryNodes?: string;
  /** Most processes and threads. */
  readonly pids?: number;
  /** Block device throttling, per device. */
  readonly io?: readonly IoLimit[];
  /** Most open files (RLIMIT_NOFILE). */
  readonly openFiles?: number;
  /** Largest file the process may write (RLIMIT_FSIZE). A snapshot's memory file counts too. */
  readonly fileSizeBytes?: Bytes;
}

/** Throttle for one block device. */
export interface IoLimit {
  /** `major:minor` of the device. */
  readonly device: string;
  readonly readBytesPerSecond?: number;
  readonly writeBytesPerSecond?: number;
  readonly readOperationsPerSecond?: number;
  readonly writeOperationsPerSecond?: number;
}

/**
 * What Firecracker itself needs beside the guest's memory, in a cgroup that holds page tables, page cache and socket
 * buffers as well: 5 % of the guest's memory and 48 MiB. The measured resident overhead is 2.5 MiB; the rest is room
 * for what the cgroup is also charged with.
 */
export function memoryLimitFor(guestBytes: number): Bytes {
  return (Math.ceil(guestBytes * 1.05) + 48 * 1024 * 1024) as Bytes;
}
