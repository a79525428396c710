import { messageOf } from "../vm/error.ts";
import type { VmExit } from "../vm/exit.ts";

/** What ends a call on a VM before it is done: a call that came later, or the manager's own end. */
export type Overtaker = "stop" | "kill" | "close";

const texts: Readonly<Record<Overtaker, string>> = {
  stop: "the VM was told to stop",
  kill: "the VM was killed",
  close: "the manager lets go of its VMs",
};

/** Why a call was cut short. `AbortError` is the name by which the rest of Warder knows it. */
export class CutShort extends Error {
  override readonly name = "AbortError";
  readonly by: Overtaker;

  constructor(by: Overtaker) {
    super(texts[by]);
    this.by = by;
  }
}

/** The exit of a run that never came to be: its start failed, or was given up for a stop or kill. */
export function exitOfFailedStart(error: unknown, signal: AbortSignal, at: number): VmExit {
  const by = signal.reason instanceof CutShort ? signal.reason.by : undefined;
  const exit = { code: null, signal: null, at };
  if (by === "stop" || by === "kill") {
    return { ...exit, cause: by === "stop" ? "stopped" : "killed", evidence: [`${texts[by]} before its guest ran`] };
  }
  return { ...exit, cause: "start-failed", evidence: [messageOf(error)] };
}
