import type { IsolationLevel } from "../../vm/isolation.ts";
import type { VmState } from "../../vm/state.ts";

/** What of a host is measured when metrics are asked for. A member is absent where it can not be known. */
export interface HostSample {
  /** All VMs that are recorded, oldest first, those that have ended too. */
  readonly vms: readonly VmSample[];
  /** What VMs have for themselves, such as user ids. */
  readonly leases: readonly LeaseSample[];
  /** Objects of VMs that have ended and that are still on the host. */
  readonly remains: number;
  /** Room left in the file systems of Warder's directories. */
  readonly freeBytes: readonly { readonly directory: "state" | "jails"; readonly bytes: number }[];
  /** Lines of Firecracker's metrics so far: those that were counted, and those that were not what they should be. */
  readonly metricsLines: { readonly taken: number; readonly refused: number };
}

/** What VMs have for themselves, of one kind. */
export interface LeaseSample {
  readonly kind: string;
  readonly used: number;
  /** Given back, and not given out again before nothing of the VM that had them is left. Absent where none rests. */
  readonly resting?: number;
  /** How many there are. Absent where they do not run out. */
  readonly total?: number;
}

/** One VM. */
export interface VmSample {
  readonly id: string;
  readonly state: VmState;
  readonly isLive: boolean;
  readonly isolation?: { readonly level: IsolationLevel; readonly gaps: number };
  /** What its guest was given. */
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** What it may use altogether; absent where it is not limited. */
  readonly memoryLimitBytes?: number;
  /** Whether it counts as healthy; absent where it was not looked at yet. */
  readonly isHealthy?: boolean;
  /** How often it was started. */
  readonly runs: number;
  /** When this run of it began, in milliseconds since 1970. */
  readonly startedAt?: number;
  /** Reads what it uses: a few system calls, so only asked for VMs that are shown one by one. */
  measure(): VmMeasure;
}

/** What one VM uses, and what came of its output. */
export interface VmMeasure {
  /** As its cgroup counts it. */
  readonly usage: {
    readonly cpuMicroseconds?: number;
    readonly throttledMicroseconds?: number;
    readonly memoryBytes?: number;
    readonly memoryPeakBytes?: number;
    readonly oomKills?: number;
    readonly pids?: number;
    readonly readBytes?: number;
    readonly writtenBytes?: number;
  };
  /** As its Firecracker counts it, which the guest may have taken over; absent where this process reads no output of it. */
  readonly devices?: {
    readonly blockReadBytes: number;
    readonly blockWrittenBytes: number;
    readonly blockReads: number;
    readonly blockWrites: number;
    readonly networkReceivedBytes: number;
    readonly networkSentBytes: number;
    readonly networkReceivedPackets: number;
    readonly networkSentPackets: number;
    readonly seccompFaults: number;
  };
  /** Bytes of its output that are not kept any more. */
  readonly droppedBytes?: { readonly console: number; readonly log: number; readonly metrics: number };
}

/** What is measured. */
export interface HostSource {
  sample(): HostSample;
}
