/**
 * Which process, beyond doubt: a pid alone is used again by the kernel. The start time is field 22 of
 * `/proc/<pid>/stat`, in clock ticks since the boot that `bootId` names.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: string;
  readonly bootId: string;
}

/** Who looks after a VM: a manager in a process. */
export interface OwnerIdentity extends ProcessIdentity {
  /** Which one, where the process has several. */
  readonly manager?: number;
}

/** How a process ended. Exactly one of the two is set; both are `null` where the status could not be collected. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}
