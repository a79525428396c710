import type { KernelFacts, ResourceLimit, ThreadFacts } from "./facts.ts";

type StatusFacts = Omit<ThreadFacts, "tid" | "cgroups">;

/** Parses `/proc/<pid>/status`: proc_pid_status(5). Lines this kernel does not print become `undefined`. */
export function parseStatus(text: string): StatusFacts {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const columns = (name: string) => fields.get(name)?.replaceAll(/\s+/g, " ");
  return {
    name: fields.get("Name") ?? "",
    uids: columns("Uid"),
    gids: columns("Gid"),
    groups: columns("Groups"),
    capabilities: {
      inheritable: fields.get("CapInh"),
      permitted: fields.get("CapPrm"),
      effective: fields.get("CapEff"),
      ambient: fields.get("CapAmb"),
      bounding: fields.get("CapBnd"),
    },
    noNewPrivs: fields.get("NoNewPrivs"),
    seccomp: fields.get("Seccomp"),
    cpus: fields.get("Cpus_allowed_list"),
    namespacePids: columns("NSpid"),
    umask: fields.get("Umask"),
  };
}

/**
 * Parses `/proc/<pid>/cgroup`, lines of `number:controllers:path`: cgroups(7). Controllers that are mounted together
 * each get the path; the line of v2 has no controllers and gets the empty name.
 */
export function parseCgroups(text: string): Record<string, string> {
  const paths: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(",")) paths[controller] = path;
  }
  return paths;
}

/** Parses `/proc/<pid>/limits`, a table of soft and hard limits: proc_pid_limits(5). */
export function parseResourceLimits(text: string): KernelFacts["resourceLimits"] {
  const limit = (title: string): ResourceLimit => {
    const line = text.split("\n").find((each) => each.startsWith(`${title} `)) ?? "";
    const [soft = "absent", hard = "absent"] = line.slice(title.length).trim().split(/\s+/);
    return soft === "" ? { soft: "absent", hard } : { soft, hard };
  };
  return {
    openFiles: limit("Max open files"),
    fileSize: limit("Max file size"),
    coreSize: limit("Max core file size"),
  };
}

/** Mount points of `/proc/<pid>/mountinfo`, field 5: proc_pid_mountinfo(5). */
export function parseMountPoints(text: string): string[] {
  return text.split("\n").flatMap((line) => line.split(" ")[4] ?? []);
}

/** The strings of `/proc/<pid>/cmdline` and `/proc/<pid>/environ`, each ended by a NUL. */
export function parseStrings(text: string): string[] {
  return text === "" ? [] : text.replace(/\0$/, "").split("\0");
}

/** Members of a list such as `0-3,8`, ascending. `undefined` where it is none. */
export function parseList(text: string): number[] | undefined {
  const members = new Set<number>();
  for (const part of text.trim().split(",")) {
    const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    if (first === undefined) return undefined;
    for (let member = Number(first); member <= Number(last ?? first); member++) members.add(member);
  }
  return [...members].sort((one, other) => one - other);
}
