/**
 * Where cgroups lie: the host's own file systems, or a directory that stands in for them, with the same files, the
 * same refusals (EINVAL for a value the kernel would not take, EBUSY for a v2 parent with processes) and no kernel.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { ERRNO, OsError } from "../common/os-error.ts";
import type { CgroupRoots } from "../common/settings.ts";

/** The cgroup file systems as the jailer sees them. */
export interface CgroupFiles {
  /** Mount point of a v1 controller. */
  v1(controller: string): string | undefined;
  readonly hasV1: boolean;
  /** Mount point of cgroup2. */
  readonly v2: string | undefined;
  makeDirectory(path: string): void;
  exists(path: string): boolean;
  read(path: string): string;
  write(path: string, value: string): void;
}

export function cgroupFiles(roots: CgroupRoots): CgroupFiles {
  return roots.kind === "host" ? hostFiles(readFileSync("/proc/mounts", "utf8")) : simulatedFiles(roots.root);
}

/** The real jailer's reading of `/proc/mounts`: v1 by mount option, v2 the first that comes. */
function hostFiles(mounts: string): CgroupFiles {
  const found = [...mounts.matchAll(/^[a-z2]* (?<dir>.*) cgroup(?<version>2?) (?<options>.*) 0 0$/gm)];
  const named = found.map((match) => match.groups ?? {});
  const v1 = named.filter((mount) => mount.version === "");
  return {
    v1: (controller) => v1.find((mount) => mount.options?.split(",").includes(controller))?.dir,
    hasV1: v1.length > 0,
    v2: named.find((mount) => mount.version === "2")?.dir,
    makeDirectory: (path) => mkdirSync(path, { recursive: true }),
    exists: existsSync,
    read: (path) => readFileSync(path, "utf8"),
    write: (path, value) => writeFileSync(path, value),
  };
}

interface File {
  readonly initial: string;
  readonly accepts: RegExp;
  /** Contents in the root of a hierarchy where they differ; undefined: the root has no such file. */
  readonly root?: string | undefined;
}

const number = (initial: string): File => ({ initial, accepts: /^-?\d+$/ });
const size = (initial: string): File => ({ initial, accepts: /^(max|-1|\d+[kKmMgG]?)$/ });
const list = (root: string): File => ({ initial: "", accepts: /^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/, root });
const notInRoot = (file: File): File => ({ ...file, root: undefined });
const free = (initial: string): File => ({ initial, accepts: /^.*$/ });

const V1_FILES: Readonly<Record<string, Readonly<Record<string, File>>>> = {
  blkio: { "blkio.weight": number("500") },
  cpu: {
    "cpu.shares": number("1024"),
    "cpu.cfs_quota_us": number("-1"),
    "cpu.cfs_period_us": number("100000"),
  },
  cpuacct: {},
  cpuset: { "cpuset.cpus": list("0-1"), "cpuset.mems": list("0") },
  devices: { "devices.allow": free(""), "devices.deny": free("") },
  freezer: {},
  memory: {
    "memory.limit_in_bytes": size("9223372036854771712"),
    "memory.soft_limit_in_bytes": size("9223372036854771712"),
    "memory.swappiness": number("60"),
  },
  pids: { "pids.max": notInRoot(size("max")) },
};

const V2_FILES: Readonly<Record<string, Readonly<Record<string, File>>>> = {
  cpu: { "cpu.max": { initial: "max 100000", accepts: /^(max|\d+)( \d+)?$/ }, "cpu.weight": number("100") },
  cpuset: { "cpuset.cpus": list(""), "cpuset.mems": list("") },
  io: { "io.max": free(""), "io.weight": free("default 100") },
  memory: {
    "memory.low": size("0"),
    "memory.high": size("max"),
    "memory.max": size("max"),
    "memory.swap.max": size("max"),
  },
  pids: { "pids.max": size("max") },
};

const PROCESS_LIST: File = { initial: "", accepts: /^\d+$/ };

/** Writes the roots of a stand-in: v1 hierarchies beside a cgroup2 mount with every controller. */
export function createSimulatedCgroups(root: string): void {
  for (const controller of Object.keys(V1_FILES)) {
    const directory = join(root, controller);
    mkdirSync(directory, { recursive: true });
    for (const [name, file] of Object.entries(v1Files(controller))) {
      const contents = "root" in file ? file.root : file.initial;
      if (contents !== undefined) writeFileSync(join(directory, name), `${contents}\n`);
    }
  }
  const unified = join(root, "unified");
  mkdirSync(unified, { recursive: true });
  writeFileSync(join(unified, "cgroup.controllers"), `${Object.keys(V2_FILES).join(" ")}\n`);
  writeFileSync(join(unified, "cgroup.subtree_control"), "\n");
  writeFileSync(join(unified, "cgroup.procs"), "");
}

function v1Files(controller: string): Record<string, File> {
  return { tasks: PROCESS_LIST, "cgroup.procs": PROCESS_LIST, ...V1_FILES[controller] };
}

function simulatedFiles(root: string): CgroupFiles {
  const unified = join(root, "unified");
  return {
    v1: (controller) => (controller in V1_FILES ? join(root, controller) : undefined),
    hasV1: true,
    v2: unified,
    makeDirectory: (path) => makeSimulatedDirectory(root, path),
    exists: existsSync,
    read: (path) => readFileSync(path, "utf8"),
    write: (path, value) => writeSimulated(unified, path, value.trimEnd()),
  };
}

function makeSimulatedDirectory(root: string, path: string): void {
  if (existsSync(path)) return;
  makeSimulatedDirectory(root, dirname(path));
  mkdirSync(path);
  const hierarchy = relative(root, path).split("/")[0] ?? "";
  const files = hierarchy === "unified" ? {} : v1Files(hierarchy);
  for (const [name, file] of Object.entries(files)) writeFileSync(join(path, name), `${file.initial}\n`);
  if (hierarchy !== "unified") return;
  writeFileSync(join(path, "cgroup.procs"), "");
  writeFileSync(join(path, "cgroup.subtree_control"), "\n");
  populateV2(path);
}

/** A v2 cgroup has the files of the controllers that its parent hands down. */
function populateV2(path: string): void {
  const enabled = words(readFileSync(join(dirname(path), "cgroup.subtree_control"), "utf8"));
  writeFileSync(join(path, "cgroup.controllers"), `${enabled.join(" ")}\n`);
  for (const [name, file] of enabled.flatMap((controller) => Object.entries(V2_FILES[controller] ?? {}))) {
    if (!existsSync(join(path, name))) writeFileSync(join(path, name), `${file.initial}\n`);
  }
}

function writeSimulated(unified: string, path: string, value: string): void {
  if (!existsSync(path)) throw new OsError(ERRNO.EACCES);
  const name = basename(path);
  if (name === "cgroup.subtree_control") {
    handDown(unified, dirname(path), value);
    return;
  }
  const controller = name.split(".")[0] ?? "";
  const file = V1_FILES[controller]?.[name] ?? V2_FILES[controller]?.[name] ?? PROCESS_LIST;
  if (!file.accepts.test(value)) throw new OsError(ERRNO.EINVAL);
  writeFileSync(path, `${value}\n`, { flag: file === PROCESS_LIST ? "a" : "w" });
}

function handDown(unified: string, directory: string, value: string): void {
  const processes = words(readFileSync(join(directory, "cgroup.procs"), "utf8"));
  if (directory !== unified && processes.some(isAlive)) throw new OsError(ERRNO.EBUSY);
  const control = join(directory, "cgroup.subtree_control");
  const enabled = new Set([...words(readFileSync(control, "utf8")), value.replace("+", "")]);
  writeFileSync(control, `${[...enabled].join(" ")}\n`);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) populateV2(join(directory, entry.name));
  }
}

function isAlive(pid: string): boolean {
  return existsSync(`/proc/${pid}`);
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
