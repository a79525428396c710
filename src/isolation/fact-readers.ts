import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import { readDescriptors } from "./descriptor-reader.ts";
import type { FactName, KernelFacts, Namespaces, ThreadFacts } from "./facts.ts";
import { isExiting } from "./liveness.ts";
import { parseCgroups, parseMountPoints, parseResourceLimits, parseStatus, parseStrings } from "./proc-text.ts";
import { type FileIdentity, toFileIdentity, type WantedIsolation } from "./wanted.ts";

/** Where facts come from. */
export interface Source {
  readonly host: Host;
  readonly wanted: WantedIsolation;
  readonly pid: number;
  /** `/proc/<pid>` */
  readonly directory: string;
}

/** A guest that broke out could make thousands of threads, and each costs the manager 50 µs. */
const THREADS_MAX = 256;

/** A jail has one mount. The manager's own namespace, which an unjailed process has, can have thousands. */
const MOUNTINFO_MAX_BYTES = 64 * 1024;

/** How each fact is read. Readers throw the system's errors. */
export const factReaders: { readonly [Name in FactName]: (source: Source) => KernelFacts[Name] } = {
  threads: readThreads,
  resourceLimits: ({ host, directory }) => parseResourceLimits(host.files.readText(`${directory}/limits`)),
  environment: ({ host, directory }) =>
    parseStrings(host.files.readText(`${directory}/environ`)).map((variable) => variable.split("=", 1)[0] ?? ""),
  commandLine: ({ host, directory }) => parseStrings(host.files.readText(`${directory}/cmdline`)),
  label: readLabel,
  root: ({ host, wanted, directory }) => ({
    process: identify(host, `${directory}/root`),
    path: wanted.jail && inspect(host, wanted.jail.root),
    host: identify(host, `${host.roots.proc}/self/root`),
  }),
  workingDirectory: ({ host, directory }) => identify(host, `${directory}/cwd`),
  executable: ({ host, wanted, directory }) => ({
    process: identify(host, `${directory}/exe`),
    copy: wanted.jail && inspect(host, `${wanted.jail.root}/${wanted.jail.execName}`),
  }),
  mounts: ({ host, directory }) => parseMountPoints(host.files.readText(`${directory}/mountinfo`, MOUNTINFO_MAX_BYTES)),
  namespaces: ({ host, directory }) => readNamespaces(host, directory),
  managerNamespaces: ({ host }) => readNamespaces(host, `${host.roots.proc}/self`),
  askedNetns: ({ host, wanted }) => {
    const facts = wanted.netns === undefined ? undefined : host.files.inspectFollowing(wanted.netns);
    return facts && toFileIdentity(facts);
  },
  cgroupMembership: readMembership,
  limits: readLimits,
  descriptors: ({ host, directory }) => readDescriptors(host, `${directory}/fd`),
};

function readThreads({ host, pid, directory }: Source): KernelFacts["threads"] {
  const main = String(pid);
  const others = host.files.list(`${directory}/task`).filter((tid) => tid !== main);
  const read = [readThread(host, `${directory}/task`, main)];
  for (const tid of others.slice(0, THREADS_MAX - 1)) {
    const thread = ignoringEnd(() => readWholeThread(host, `${directory}/task`, tid));
    if (thread !== undefined) read.push(thread);
  }
  return { read, skipped: Math.max(0, others.length - (THREADS_MAX - 1)) };
}

function readThread(host: Host, directory: string, tid: string): ThreadFacts {
  return {
    tid,
    ...parseStatus(host.files.readText(`${directory}/${tid}/status`)),
    cgroups: parseCgroups(host.files.readText(`${directory}/${tid}/cgroup`)),
  };
}

/** A thread of which the kernel takes its cgroups away as it ends is not in another one: it is in none. */
function readWholeThread(host: Host, directory: string, tid: string): ThreadFacts | undefined {
  const thread = readThread(host, directory, tid);
  return isExiting(host.files.readText(`${directory}/${tid}/stat`)) ? undefined : thread;
}

/** A thread may end between the listing and the reading; one that has ended can do nothing any more. */
function ignoringEnd<Value>(readIt: () => Value): Value | undefined {
  try {
    return readIt();
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/** EINVAL is the kernel's answer where no security module labels processes. SELinux ends the label with a NUL. */
function readLabel({ host, directory }: Source): string | undefined {
  try {
    return host.files.readText(`${directory}/attr/current`).replace(/[\0\n]+$/, "") || undefined;
  } catch (error) {
    if (systemCodeOf(error) === "EINVAL") return undefined;
    throw error;
  }
}

function readNamespaces(host: Host, directory: string): Namespaces {
  const identifyNamespace = (name: string) => identify(host, `${directory}/ns/${name}`);
  return { mount: identifyNamespace("mnt"), network: identifyNamespace("net"), pid: identifyNamespace("pid") };
}

function readMembership({ host, wanted, pid }: Source): Record<string, boolean> {
  const directories = wanted.cgroup?.directories ?? {};
  // With v2 all controllers have the one directory, which is read once.
  const members = new Map(
    [...new Set(Object.values(directories))].map((path) => [path, listsProcess(host, path, pid)]),
  );
  return Object.fromEntries(Object.entries(directories).map(([name, path]) => [name, members.get(path) === true]));
}

function listsProcess(host: Host, directory: string, pid: number): boolean {
  return readIfThere(host, `${directory}/cgroup.procs`)?.split("\n").includes(String(pid)) === true;
}

function readLimits({ host, wanted }: Source): Record<string, string | undefined> {
  return Object.fromEntries(
    wanted.limits.map(({ name, file }) => [name, file === undefined ? undefined : readIfThere(host, file)?.trim()]),
  );
}

/** A file of a cgroup that is not there is a finding, not the end of the process. */
function readIfThere(host: Host, path: string): string | undefined {
  try {
    return host.files.readText(path);
  } catch (error) {
    const code = systemCodeOf(error);
    // ENODEV: the cgroup was removed between opening and reading.
    if (code === "ENOENT" || code === "ENODEV") return undefined;
    throw error;
  }
}

/** What a link of `/proc` leads to. The kernel resolves these itself: no name in the jail takes part. */
function identify(host: Host, link: string): FileIdentity {
  const facts = host.files.inspectFollowing(link);
  if (facts === undefined) throw Object.assign(new Error(`${link} leads nowhere`), { code: "ENOENT" });
  return toFileIdentity(facts);
}

function inspect(host: Host, path: string): FileIdentity | undefined {
  const facts = host.files.inspect(path);
  return facts && toFileIdentity(facts);
}
