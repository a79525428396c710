import type { Deed } from "./each-vm.ts";
import { formatDuration } from "./format.ts";
import type { Ended } from "./manager/manager.ts";

/** What came of ending a VM: which rung of the ladder did it, and with what exit. */
export function describeEnd(id: string, { endedBy, rungs, state, exit }: Ended): Deed {
  const tookMs = rungs.reduce((sum, { afterMs }) => sum + afterMs, 0);
  const how = endedBy === undefined ? "had ended already" : `ended by ${endedBy} after ${formatDuration(tookMs)}`;
  return {
    document: { state, endedBy: endedBy ?? null, rungs, ...(exit === undefined ? {} : { exit }) },
    line: `${id} ${how}`,
  };
}
