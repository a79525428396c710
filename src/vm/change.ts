import type { VmId } from "./id.ts";
import type { VmState, VmStateOrRemoved } from "./state.ts";

/** One change of a VM's state. Kept by the store: watchers in any process see the same changes in the same order. */
export interface VmChange {
  /** Counts the changes of all VMs of a state directory, from 1 on, without gaps; also over restarts of managers. */
  readonly sequence: number;
  readonly id: VmId;
  /** Of the VM's record once it was changed. */
  readonly generation: number;
  /** Which run of the VM this is about: 1 for the first, 0 before it. */
  readonly incarnation: number;
  readonly state: VmStateOrRemoved;
  /** `null` where the VM was not there before. */
  readonly previous: VmState | null;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Why, where that does not go without saying: an exit's cause, a failure's message. Partly chosen by the guest. */
  readonly reason?: string;
}
