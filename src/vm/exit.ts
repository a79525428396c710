import type { ProcessExit } from "./process.ts";

/** Why a VM ended. */
export type ExitCause =
  | "guest-ended"
  | "guest-panic"
  | "stopped"
  | "killed"
  | "killed-by-stranger"
  | "firecracker-error"
  | "seccomp"
  | "out-of-memory"
  | "start-failed"
  | "host-reboot"
  | "unknown";

/** How and why a VM ended, with what that is concluded from. */
export interface VmExit extends ProcessExit {
  readonly cause: ExitCause;
  /** One line each: a log line, a counter of the cgroup, the rung of the shutdown ladder. */
  readonly evidence: readonly string[];
  /** Milliseconds since 1970. */
  readonly at: number;
}
