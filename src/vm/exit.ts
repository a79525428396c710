import type { ProcessExit } from "./process.ts";

/**
 * Why a VM ended.
 *
 * - `guest-ended`: the guest rebooted or reset itself, which ends a microVM.
 * - `guest-panic`: it did so after a kernel panic; `guest-crash`: its CPU gave up (a triple fault).
 * - `stopped`: at a manager's request, by the guest itself; `killed`: by a manager's signal.
 * - `killed-by-stranger`: by a signal that no manager sent.
 * - `firecracker-error`, `seccomp`: by Firecracker, or its system call filter.
 * - `out-of-memory`: by the kernel, as the VM met its own limit; `host-out-of-memory`: as the host, or a cgroup above the
 *   VM's, had none left.
 * - `start-failed`: it never came to run; `host-reboot`: with its host; `unknown`: nobody saw it and nothing tells.
 */
export type ExitCause = (typeof exitCauses)[number];

/** All causes. */
export const exitCauses = Object.freeze([
  "guest-ended",
  "guest-panic",
  "guest-crash",
  "stopped",
  "killed",
  "killed-by-stranger",
  "firecracker-error",
  "seccomp",
  "out-of-memory",
  "host-out-of-memory",
  "start-failed",
  "host-reboot",
  "unknown",
] as const);

/** How and why a VM ended, with what that is concluded from. */
export interface VmExit extends ProcessExit {
  readonly cause: ExitCause;
  /** One line each: a log line, a counter of the cgroup, the rung of the shutdown ladder. */
  readonly evidence: readonly string[];
  /** Milliseconds since 1970. */
  readonly at: number;
}
