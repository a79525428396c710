import type { Warder } from "../lifecycle/warder.ts";
import { isLive, type VmState } from "../vm/state.ts";
import type { CommonRequest } from "./command.ts";

/**
 * Gives VMs with a restart policy whose monitor has died a new one, so that the policy goes on: those that run, and those
 * between two runs. Where a manager has the state directory, it sees to them itself.
 */
export async function reviveMonitors(warder: Warder, { overrides }: Pick<CommonRequest, "overrides">): Promise<void> {
  const orphans = warder.list().filter((vm) => {
    const { state, spec } = vm.record;
    return needsMonitor(state, spec.restart.policy) && !vm.isLookedAfter;
  });
  if (orphans.length === 0 || warder.isManaged) return;
  const { leaveToMonitor, toTask } = await import("./start-monitor.ts");
  for (const { id } of orphans) await leaveToMonitor(toTask({ kind: "look-after", id }, overrides));
}

function needsMonitor(state: VmState, policy: string): boolean {
  return state === "restarting" || (isLive(state) && state !== "starting" && policy !== "never");
}
