import type { Vm } from "../lifecycle/vm.ts";
import type { ShutdownOutcome } from "../vm/shutdown.ts";
import type { Deed } from "./each-vm.ts";
import { formatDuration } from "./format.ts";

/** What came of ending a VM: which rung of the ladder did it, and with what exit. */
export function describeEnd(vm: Vm, { endedBy, rungs }: ShutdownOutcome): Deed {
  const { exit, state } = vm.record;
  const tookMs = rungs.reduce((sum, { afterMs }) => sum + afterMs, 0);
  const how = endedBy === undefined ? "had ended already" : `ended by ${endedBy} after ${formatDuration(tookMs)}`;
  return {
    document: { state, endedBy: endedBy ?? null, rungs, ...(exit === undefined ? {} : { exit }) },
    line: `${vm.id} ${how}`,
  };
}
