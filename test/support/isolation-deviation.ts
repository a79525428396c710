/** How a start differs from what is wanted of it. Nothing given: it does not. */
export interface Deviation {
  readonly uid?: number;
  readonly openFiles?: number;
  /** Value of the memory limit; `none` leaves the process in its manager's memory cgroup. */
  readonly memory?: string;
  /** Asks for a network namespace, and joins it or does not. Absent: none is asked for. */
  readonly netns?: "joined" | "ignored";
  readonly newPidNamespace?: boolean;
  /** What standard input leads to. */
  readonly input?: string;
  /** A file that descriptor 3 leads to when the program starts. */
  readonly inherited?: string;
  readonly firecrackerArgs?: readonly string[];
  /** Mounts a file system in the jail. */
  readonly mount?: boolean;
  readonly jailed?: boolean;
  /** `idle` runs for ever, `hello` ends at once. */
  readonly guest?: "idle" | "hello";
  readonly environment?: Readonly<Record<string, string>>;
}
