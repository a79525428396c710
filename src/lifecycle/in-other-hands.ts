import { isWarderError, WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";

/** Says of an error that it is nobody's failure: a moment later it may be gone. */
class InOtherHands extends Error {}

/** Something else is done with the VM at this moment, in this process or another. */
export function inOtherHands(id: VmId, doing: string): WarderError {
  return new WarderError("wrong-state", {
    doing: `${doing} ${id}`,
    why: "something else is done with it at this moment",
    cure: "Try again",
    cause: new InOtherHands(),
  });
}

/** Whether an error is from {@link inOtherHands}. */
export function isInOtherHands(error: unknown): boolean {
  return isWarderError(error) && error.cause instanceof InOtherHands;
}
