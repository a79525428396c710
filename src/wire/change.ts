import type { MessageInitShape } from "@bufbuild/protobuf";
import type { VmChangeSchema, VmChange as WireChange } from "../../gen/warder/v1/vm_service_pb.js";
import type { VmChange } from "../vm/change.ts";
import type { VmId } from "../vm/id.ts";
import type { VmState } from "../vm/state.ts";
import { fromTimestamp, toTimestamp } from "./values.ts";
import { words } from "./words.ts";

/** A change of a VM's state, for the wire. */
export function toWireChange(change: VmChange): MessageInitShape<typeof VmChangeSchema> {
  const { sequence, id, generation, incarnation, state, previous, at, reason = "" } = change;
  return {
    sequence: BigInt(sequence),
    id,
    generation: BigInt(generation),
    incarnation: BigInt(incarnation),
    state: words.state.toWire(state),
    ...(previous === null ? {} : { previous: words.state.toWire(previous) }),
    at: toTimestamp(at),
    reason,
  };
}

/** The same, of the wire. */
export function fromWireChange(change: WireChange): VmChange {
  const { sequence, id, generation, incarnation, state, previous, at, reason } = change;
  const before = previous === undefined ? undefined : words.state.fromWire(previous);
  return {
    sequence: Number(sequence),
    id: id as VmId,
    generation: Number(generation),
    incarnation: Number(incarnation),
    state: words.state.fromWire(state) ?? "failed",
    previous: (before as VmState | undefined) ?? null,
    at: fromTimestamp(at),
    ...(reason === "" ? {} : { reason }),
  };
}
