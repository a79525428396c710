/**
 * A VM's life, drawn in `docs/states.md`.
 *
 * - `created`: written down, its leases reserved; nothing of it is on the host.
 * - `starting`, `running`, `paused`, `stopping`: a process may be there.
 * - `exited`, `failed`: it ended, or never came to run. It may be started again, as the same VM.
 * - `restarting`: it ended and is to be started again, by its restart policy or for a reboot.
 *
 * What its process does is another machine, which is read from the kernel and not recorded.
 */
export type VmState = "created" | "starting" | "running" | "paused" | "stopping" | "exited" | "failed" | "restarting";

/** Where a VM's record comes to, its removal included. */
export type VmStateOrRemoved = VmState | "removed";

/** Where a VM's life begins. */
export const firstStates: readonly VmState[] = Object.freeze(["created", "starting"]);

/** Where each state may lead to. `docs/states.md` draws the same, which a test compares. */
export const transitions: Readonly<Record<VmState, readonly VmStateOrRemoved[]>> = Object.freeze({
  created: ["starting", "removed"],
  // Removed: the start of a VM that was not there before has failed, and leaves the host as it was.
  starting: ["running", "stopping", "exited", "failed", "restarting", "removed"],
  running: ["paused", "stopping", "exited", "restarting"],
  paused: ["running", "stopping", "exited", "restarting"],
  stopping: ["exited", "failed", "restarting", "removed"],
  exited: ["starting", "removed"],
  failed: ["starting", "removed"],
  restarting: ["starting", "exited", "failed"],
});

/** All states, in the order of a life. */
export const vmStates = Object.freeze(Object.keys(transitions)) as readonly VmState[];

/** Whether a VM may go from one state to another. */
export function canTransition(from: VmState, to: VmStateOrRemoved): boolean {
  return transitions[from].includes(to);
}

const withProcess: ReadonlySet<VmState> = new Set(["starting", "running", "paused", "stopping"]);

/** Whether the VM's process may be there. */
export function isLive(state: VmState): boolean {
  return withProcess.has(state);
}

/** Whether nothing becomes of the VM any more unless somebody asks: its id may be given to another. */
export function hasEnded(state: VmState): boolean {
  return state === "exited" || state === "failed";
}

/** Something a caller can ask of a VM. */
export type VmRequest = "start" | "pause" | "resume" | "stop" | "kill" | "reboot" | "remove";

/** The answer of {@link decide}: do it, it is so already, or no and why. */
export type Decision =
  | { readonly verdict: "do" }
  | { readonly verdict: "done" }
  | { readonly verdict: "refuse"; readonly why: string };

const PAUSE = "only a VM that is running can pause";
const RESUME = "only a VM that is paused can resume";
const WAIT = "wait until it has ended";
const START = "only a VM that runs can reboot; start it";
const STOP = "stop it first, or remove it with force";

/** By state, in the order of {@link vmStates}. What is neither done nor so already is refused, with the reason. */
// biome-ignore format: a table
const rules: Readonly<Record<VmRequest, readonly string[]>> = {
  //       created  starting  running  paused                      stopping  exited  failed  restarting
  start:  ["do",    "done",   "done",  "resume it, it has started", WAIT,    "do",   "do",   "do"],
  pause:  [PAUSE,   PAUSE,    "do",    "done",                      PAUSE,   PAUSE,  PAUSE,  PAUSE],
  resume: [RESUME,  RESUME,   "done",  "do",                        RESUME,  RESUME, RESUME, RESUME],
  stop:   ["done",  "do",     "do",    "do",                        "do",    "done", "done", "do"],
  kill:   ["done",  "do",     "do",    "do",                        "do",    "done", "done", "do"],
  reboot: [START,   START,    "do",    "do",                        WAIT,    START,  START,  "do"],
  remove: ["do",    STOP,     STOP,    STOP,                        STOP,    "do",   "do",   STOP],
};

/** Whether a request is allowed in a state: the whole policy, without I/O. */
export function decide(request: VmRequest, state: VmState): Decision {
  const rule = rules[request][vmStates.indexOf(state)] ?? "nothing is said of it";
  if (rule === "do" || rule === "done") return { verdict: rule };
  return { verdict: "refuse", why: `it is ${state}: ${rule}` };
}
