import type { FileFacts } from "../host/host.ts";
import type { ControlPhase } from "../vm/isolation.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { FileIdentity } from "./wanted.ts";

/** The capability sets of a thread, each as the hexadecimal mask that the kernel prints. */
export interface CapabilitySets {
  readonly inheritable: string | undefined;
  readonly permitted: string | undefined;
  readonly effective: string | undefined;
  readonly ambient: string | undefined;
  readonly bounding: string | undefined;
}

/**
 * One thread, from `/proc/<pid>/task/<tid>/{status,cgroup}`: proc_pid_status(5), cgroups(7). Values are the kernel's
 * own words, columns separated by one space; `undefined` is a line that this kernel does not print.
 */
export interface ThreadFacts {
  readonly tid: string;
  /** What the thread calls itself: proves nothing. */
  readonly name: string;
  /** Real, effective, saved, file system. */
  readonly uids: string | undefined;
  readonly gids: string | undefined;
  readonly groups: string | undefined;
  readonly capabilities: CapabilitySets;
  readonly noNewPrivs: string | undefined;
  /** `0` off, `1` strict, `2` filter. */
  readonly seccomp: string | undefined;
  readonly cpus: string | undefined;
  /** The pid in each pid namespace, the reader's first. */
  readonly namespacePids: string | undefined;
  readonly umask: string | undefined;
  /** Path in each hierarchy: by controller for v1, by the empty string for v2. */
  readonly cgroups: Readonly<Record<string, string>>;
}

/** A resource limit, as `/proc/<pid>/limits` prints it. */
export interface ResourceLimit {
  readonly soft: string;
  readonly hard: string;
}

/** One open descriptor. */
export interface DescriptorFacts {
  readonly number: number;
  /** Where the link in `/proc/<pid>/fd` points: trustworthy for what has no path, a mere name otherwise. */
  readonly target: string;
  /** What it leads to; `undefined` for sockets, pipes and anonymous inodes, which `target` tells all about. */
  readonly file: Pick<FileFacts, "kind" | "device" | "inode" | "deviceNumber" | "links"> | undefined;
}

/** Everything that is read of a process, by name of the fact. A phase reads a part of them. */
export interface KernelFacts {
  /** The main thread first. */
  readonly threads: Bounded<ThreadFacts>;
  readonly resourceLimits: {
    readonly openFiles: ResourceLimit;
    readonly fileSize: ResourceLimit;
    readonly coreSize: ResourceLimit;
  };
  /** Names of the environment's variables: their values can be secrets. */
  readonly environment: readonly string[];
  readonly commandLine: readonly string[];
  /** `undefined` where no security module labels processes. */
  readonly label: string | undefined;
  /** The process's root, what lies at the path that the root was made at, and the manager's own root. */
  readonly root: {
    readonly process: FileIdentity;
    readonly path: FileIdentity | undefined;
    readonly host: FileIdentity;
  };
  readonly workingDirectory: FileIdentity;
  /** What the process runs, and the copy of Firecracker that lies in the jail. */
  readonly executable: { readonly process: FileIdentity; readonly copy: FileIdentity | undefined };
  /** Mount points that the process can reach. */
  readonly mounts: readonly string[];
  readonly namespaces: Namespaces;
  readonly managerNamespaces: Namespaces;
  /** The network namespace that was asked for; `undefined` where none was, or where nothing lies at its path. */
  readonly askedNetns: FileIdentity | undefined;
  /** Of each controller's directory: whether its `cgroup.procs` lists the process. */
  readonly cgroupMembership: Readonly<Record<string, boolean>>;
  /** Value of each limit that was asked for; `undefined` where its file is not there. */
  readonly limits: Readonly<Record<string, string | undefined>>;
  readonly descriptors: Bounded<DescriptorFacts>;
}

/** What was read of something that the process can have as many of as it likes. */
export interface Bounded<Item> {
  readonly read: readonly Item[];
  /** How many were beyond what can be read in reasonable time. Not knowing them is a gap. */
  readonly skipped: number;
}

/** Namespaces, each by the identity of the kernel's file that stands for it: namespaces(7). */
export interface Namespaces {
  readonly mount: FileIdentity;
  readonly network: FileIdentity;
  readonly pid: FileIdentity;
}

/** Name of a fact. */
export type FactName = keyof KernelFacts;

/** A fact that was read, or why it could not be: which is a gap of every control that needs it. */
export type Reading<Value> = { readonly value: Value } | { readonly unreadable: string };

/** Facts that were read while the process was, beyond doubt, still the same and alive. */
export type Readings = { readonly [Name in FactName]?: Reading<KernelFacts[Name]> };

/** One snapshot of one process. */
export interface KernelView {
  readonly phase: ControlPhase;
  readonly process: ProcessIdentity;
  /** The process ended before everything was read: what is missing can never be read. */
  readonly vanished: boolean;
  readonly facts: Readings;
}
