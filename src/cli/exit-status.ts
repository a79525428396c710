import type { VmExit } from "../vm/exit.ts";
import { signalStatus } from "./interruption.ts";

/**
 * The exit status of `warder run`, which is the VM's own: 0 where the guest ended cleanly or was stopped in order,
 * Firecracker's where it failed, 128 and the signal's number where one ended it, as shells count. Where the status could
 * not be collected, 0 or 1 by the cause.
 */
export function exitStatusOf({ cause, code, signal }: VmExit): number {
  if (cause === "guest-ended") return 0;
  if (signal !== null) return signalStatus(signal);
  if (code === null) return cause === "stopped" ? 0 : 1;
  // A panic makes the guest reboot, which Firecracker takes for a clean end.
  return code === 0 && cause === "guest-panic" ? 1 : code;
}
