/** Where the cgroup hierarchies of a machine are mounted. */
export interface CgroupMounts {
  /** Where each controller of version 1 is mounted. */
  readonly v1: ReadonlyMap<string, string>;
  /** Where the first version 2 hierarchy is mounted. */
  readonly v2: string | undefined;
}

/** Reads the hierarchies from the text of a `/proc/PID/mounts`; those mounted read-only do not count. */
export function findCgroupMounts(mounts: string): CgroupMounts {
  const rows = mounts
    .split("\n")
    .map((line) => line.split(" "))
    .map(([, path = "", type, options = ""]) => ({ path, type, options: options.split(",") }))
    .filter(({ options }) => !options.includes("ro"));
  return {
    v1: new Map(
      rows
        .filter(({ type }) => type === "cgroup")
        .flatMap(({ path, options }) => options.map((option) => [option, path] as const)),
    ),
    v2: rows.find(({ type }) => type === "cgroup2")?.path,
  };
}
