import type { Labels } from "./belongings.ts";
import type { VmExit } from "./exit.ts";
import type { IsolationReport } from "./isolation.ts";
import type { Limits } from "./limits.ts";
import { type NetworkView, toNetworkView } from "./network/view.ts";
import type { OutputViews } from "./output.ts";
import type { PastRun, VmRecord } from "./record.ts";
import type { RestartPolicy } from "./restart.ts";
import { isLive, type VmState } from "./state.ts";

/** What `inspect` shows of a VM, and the last document of `run --json`. Members are only ever added. */
export interface VmView {
  readonly id: string;
  readonly state: VmState;
  /** Firecracker's process, while there is one. */
  readonly pid: number | null;
  readonly jailed: boolean;
  readonly jail: {
    readonly id: string;
    /** What the jailed process sees as `/`. */
    readonly root: string;
    /** The API socket as the host sees it. */
    readonly socket: string;
    readonly uid: number;
    readonly gid: number;
  };
  readonly limits: Limits;
  readonly isolation: IsolationReport | null;
  /** Milliseconds of each step of the start, and of the whole. */
  readonly timings: Readonly<Record<string, number>>;
  /** There once the VM has ended. */
  readonly exit?: VmExit;
  /** Which run of the VM this is: 1 for the first, 0 before it. A daemon of an earlier release does not tell. */
  readonly incarnation?: number;
  /** When this run began, its isolation proven: RFC 3339, in UTC. */
  readonly startedAt?: string;
  /** How earlier runs ended, oldest first; the newest ten. */
  readonly history?: readonly PastRun[];
  /** Its restart policy, and where it stands with it. */
  readonly restart?: RestartView;
  /** Of a VM with a vsock: its context id in the guest. */
  readonly vsock?: { readonly cid: number };
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly kernel: string;
  readonly firecrackerVersion: string;
  readonly cgroup: { readonly version: 1 | 2; readonly directories: Readonly<Record<string, string>> } | null;
  /** Of a VM with networks, from its first run on: its namespace and interfaces. */
  readonly network?: { readonly namespace: string | null; readonly interfaces: readonly NetworkView[] };
  /** What is kept of its output, and what was lost. A list, and a daemon of an earlier release, do not tell. */
  readonly output?: OutputViews;
  /** RFC 3339, in UTC. */
  readonly createdAt: string;
  readonly generation: number;
  /** Whom it belongs to; absent where nobody was named. */
  readonly tenant?: string;
  /** The caller's own notes. */
  readonly labels?: Labels;
}

/** A restart policy at work. */
export interface RestartView extends RestartPolicy {
  /** Restarts in a row so far. */
  readonly retries: number;
  /** When the next one is due, while it is waited for: RFC 3339, in UTC. */
  readonly nextAt?: string;
}

/** The view of a record, and of the VM's output where that is to be shown. */
export function toView(record: VmRecord, output?: OutputViews): VmView {
  const { layout, spec, cgroup, network } = record;
  const isThere = isLive(record.state);
  return {
    id: record.id,
    state: record.state,
    pid: isThere ? (record.process?.pid ?? null) : null,
    jailed: record.jailed,
    jail: { id: record.id, root: layout.root, socket: layout.socket, uid: record.uid, gid: record.gid },
    limits: spec.limits,
    isolation: record.isolation ?? null,
    timings: record.timings,
    ...(record.exit === undefined ? {} : { exit: record.exit }),
    incarnation: record.incarnation,
    ...(record.startedAt === undefined ? {} : { startedAt: toTime(record.startedAt) }),
    history: record.history,
    restart: toRestart(record),
    ...(record.vsock === undefined ? {} : { vsock: record.vsock }),
    vcpus: spec.vcpus,
    memoryMib: spec.memoryMib,
    kernel: spec.kernel,
    firecrackerVersion: record.binaries.version,
    cgroup: cgroup === undefined ? null : { version: cgroup.version, directories: cgroup.directories },
    ...(network === undefined
      ? {}
      : { network: { namespace: network.namespace?.path ?? null, interfaces: toNetworkView(network) } }),
    ...(output === undefined ? {} : { output }),
    createdAt: toTime(record.createdAt),
    generation: record.generation,
    ...(spec.tenant === undefined ? {} : { tenant: spec.tenant }),
    ...(spec.labels === undefined ? {} : { labels: spec.labels }),
  };
}

function toRestart({ spec, restart }: VmRecord): RestartView {
  const { retries = 0, nextAt } = restart ?? {};
  return { ...spec.restart, retries, ...(nextAt === undefined ? {} : { nextAt: toTime(nextAt) }) };
}

function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
