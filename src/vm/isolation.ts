/**
 * What to do when a control that was asked for can not be had: `strict` refuses the start and removes what was made,
 * `degrade` starts all the same, names each gap and warns.
 */
export type IsolationPolicy = "strict" | "degrade";

/**
 * How isolated a VM was found to be.
 *
 * - `proven`: every control was read back from the kernel and is as asked.
 * - `partial`: some controls could not be read, as the VM ended before, or its guest was not started yet; what was read
 *   is as asked.
 * - `degraded`: at least one control is not as asked.
 * - `unjailed`: started without the jailer.
 */
export type IsolationLevel = "proven" | "partial" | "degraded" | "unjailed";

/** When a control was read: while Firecracker waited for its configuration, or with the guest running. */
export type ControlPhase = "held" | "running";

/** One control: what was asked for beside what the kernel says. */
export interface Control {
  /** Stable name such as `uid`, `seccomp` or `limit.memory`. */
  readonly name: string;
  readonly phase: ControlPhase;
  readonly wanted: string;
  readonly found: string;
  readonly ok: boolean;
}

/** The proof of one VM's isolation. */
export interface IsolationReport {
  readonly level: IsolationLevel;
  readonly policy: IsolationPolicy;
  readonly controls: readonly Control[];
  /** Each control that is not as asked, or could not be read, in one sentence. */
  readonly gaps: readonly string[];
}

/** The level and gaps that follow from a list of controls. `unread` names controls that were not read, for a reason. */
export function judgeIsolation(
  policy: IsolationPolicy,
  controls: readonly Control[],
  unread: readonly string[] = [],
  whyUnread = "the VM ended before it could be read",
): IsolationReport {
  const wrong = controls.filter((control) => !control.ok);
  const gaps = [
    ...wrong.map(({ name, wanted, found }) => `${name}: wanted ${wanted}, found ${found}`),
    ...unread.map((name) => `${name}: ${whyUnread}`),
  ];
  const level = wrong.length > 0 ? "degraded" : unread.length > 0 ? "partial" : "proven";
  return Object.freeze({ level, policy, controls: Object.freeze([...controls]), gaps: Object.freeze(gaps) });
}

/** What is logged when a VM starts without a sandbox, wanted or not. Operators of earlier systems look for this line. */
export const INSECURE_WARNING = "Jailer not available, starting without sandboxing (INSECURE for production!)";
