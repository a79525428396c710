import type { KernelFacts, ResourceLimit, ThreadFacts } from "./facts.ts";

type StatusFacts = Omit<ThreadFacts, "tid" | "cgroups">;

/** Parses `/proc/<pid>/status`: proc_pid_status(5). Lines this kernel does not print become `undefined`. */
export function parseStatus(text: string): StatusFacts {
  // The few lines that matter are looked for: of a start's time, taking all sixty apart was a tenth of a proof.
  const lines = `\n${text}`;
  const field = (name: string) => {
    const start = lines.indexOf(`\n${name}:`);
    if (start < 0) return undefined;
    const from = start + name.length + 2;
    const end = lines.indexOf("\n", from);
    return lines.slice(from, end < 0 ? lines.length : end).trim();
  };
  const columns = (name: string) => field(name)?.replaceAll(/\s+/g, " ");
  return {
    name: field("Name") ?? "",
    uids: columns("Uid"),
    gids: columns("Gid"),
    groups: columns("Groups"),
    capabilities: {
      inheritable: field("CapInh"),
      permitted: field("CapPrm"),
      effective: field("CapEff"),
      ambient: field("CapAmb"),
      bounding: field("CapBnd"),
    },
    noNewPrivs: field("NoNewPrivs"),
    seccomp: field("Seccomp"),
    cpus: field("Cpus_allowed_list"),
    namespacePids: columns("NSpid"),
    umask: field("Umask"),
  };
}

/**
 * Parses `/proc/<pid>/cgroup`, lines of `number:controllers:path`: cgroups(7). Controllers that are mounted together
 * each get the path; the line of v2 has no controllers and gets the empty name.
 */
export function parseCgroups(text: string): Record<string, string> {
  const paths: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const first = line.indexOf(":");
    const second = line.indexOf(":", first + 1);
    if (second < 0 || !isNumber(line.slice(0, first))) continue;
    const path = line.slice(second + 1);
    for (const controller of line.slice(first + 1, second).split(",")) paths[controller] = path;
  }
  return paths;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
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
