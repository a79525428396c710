import { VmState as WireState } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import type { VmState } from "../../vm/state.ts";

const wireStates: Readonly<Record<VmState, WireState>> = {
  created: WireState.CREATED,
  starting: WireState.CREATED,
  restarting: WireState.CREATED,
  running: WireState.RUNNING,
  stopping: WireState.RUNNING,
  paused: WireState.PAUSED,
  exited: WireState.SHUTDOWN,
  failed: WireState.SHUTDOWN,
};

/** The state in the five words that metald has for it. The exact one stands in `backend_info`. */
export function toWireState(state: VmState): WireState {
  return wireStates[state];
}
