/**
 * A VM's life. Process state is another machine: see {@link ProcessState} in `process.ts`.
 *
 * ```text
 *             ┌────────────── failed ◄─────────────┐
 *             │                  ▲                 │
 * starting ───┼──► running ⇄ paused ───► stopping ─┴─► exited
 *             │        │         │                       ▲
 *             └────────┴─────────┴───────────────────────┘   (the process ended by itself)
 * ```
 *
 * `exited` and `failed` are final: a new start makes a new record.
 */
export type VmState = "starting" | "running" | "paused" | "stopping" | "exited" | "failed";

const transitions: Readonly<Record<VmState, readonly VmState[]>> = Object.freeze({
  starting: ["running", "stopping", "exited", "failed"],
  running: ["paused", "stopping", "exited", "failed"],
  paused: ["running", "stopping", "exited", "failed"],
  stopping: ["exited", "failed"],
  exited: [],
  failed: [],
});

/** All states, in the order of a life. */
export const vmStates = Object.freeze(Object.keys(transitions)) as readonly VmState[];

/** Whether a VM may go from one state to another. */
export function canTransition(from: VmState, to: VmState): boolean {
  return transitions[from].includes(to);
}

/** Whether the VM's process may still be there. */
export function isLive(state: VmState): boolean {
  return transitions[state].length > 0;
}

/** Something a caller can ask of a VM. */
export type VmRequest = "pause" | "resume" | "stop" | "kill" | "remove";

/** The answer of {@link decide}: do it, it is so already, or no and why. */
export type Decision =
  | { readonly verdict: "do" }
  | { readonly verdict: "done" }
  | { readonly verdict: "refuse"; readonly why: string };

/** Whether a request is allowed in a state: the whole policy, without I/O. */
export function decide(request: VmRequest, state: VmState): Decision {
  switch (request) {
    case "pause":
      return expect(state, "running", "paused", "pause");
    case "resume":
      return expect(state, "paused", "running", "resume");
    case "stop":
    case "kill":
      return isLive(state) ? { verdict: "do" } : { verdict: "done" };
    case "remove":
      return isLive(state)
        ? { verdict: "refuse", why: `it is ${state}: stop it first, or remove it with force` }
        : { verdict: "do" };
  }
}

function expect(state: VmState, from: VmState, to: VmState, verb: string): Decision {
  if (state === to) return { verdict: "done" };
  if (state === from) return { verdict: "do" };
  return { verdict: "refuse", why: `it is ${state}, and only a VM that is ${from} can ${verb}` };
}
