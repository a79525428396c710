import type { CgroupHost } from "../cgroup/detect.ts";
import type { Host } from "../host/host.ts";
import type { SpareFifos } from "../jailer/spare-fifos.ts";
import type { Observer } from "../observability/observer.ts";
import type { LeaseRange } from "../store/leases.ts";
import type { Store } from "../store/store.ts";
import type { HostPath } from "../vm/path.ts";
import type { VmBinaries } from "../vm/record.ts";
import type { Meters } from "./meters.ts";
import type { Quarantine } from "./quarantine.ts";
import type { VsockBrokers } from "./vsock-brokers.ts";

/** What lifecycle needs to know of the configuration. */
export interface LifecycleSettings {
  readonly stateDir: HostPath;
  /** Directory of all jails, symbolic links resolved. */
  readonly chrootBase: HostPath;
  readonly uidRange: LeaseRange;
  /** Cgroup in which all VMs' cgroups lie. */
  readonly parentCgroup: string;
  /** Absent: the host decides. */
  readonly cgroupVersion?: 1 | 2;
  /** Unjailed starts and gaps are refused whatever a caller asks. */
  readonly production: boolean;
  /** Most bytes of guest output kept for each VM. */
  readonly consoleLimitBytes: number;
  /** Most bytes of Firecracker's log kept for each VM. */
  readonly logLimitBytes: number;
  /** What VMs lease for their networks: pools of addresses as text, and ports of the host. */
  readonly network: {
    readonly ipv4Pool: string;
    readonly ipv6Pool: string;
    readonly dns: readonly string[];
    readonly hostPorts: { readonly first: number; readonly count: number };
    /** From 3 on: 0 to 2 are the hypervisor's, loopback and the host's (vsock(7)). */
    readonly vsockCids: { readonly first: number; readonly count: number };
  };
  /** How long, and how many, records and output of VMs that have ended are kept. */
  readonly retention: { readonly endedMs: number; readonly endedVms: number };
}

/** The rooms that a VM's life is made with, opened once by the composition root. */
export interface Machinery {
  readonly host: Host;
  readonly store: Store;
  /** What is given back, in reverse, when the host is closed: the store, and a manager's lock. */
  readonly opened: DisposableStack;
  readonly settings: LifecycleSettings;
  readonly cgroups: CgroupHost;
  readonly spareFifos: SpareFifos;
  /** Ids of VMs that are gone, until nothing of them is left. */
  readonly quarantine: Quarantine;
  /** See {@link gracePeriodAsker}. */
  readonly askForGracePeriod: () => void;
  /** Firecracker and, for jailed VMs, the jailer that new VMs run on; found once, and again when the files change. */
  readonly binaries: (options: { readonly jailed: boolean; readonly signal: AbortSignal }) => Promise<VmBinaries>;
  /** The built-in guest. */
  readonly probeKernel: HostPath;
  /** Told once for each warning that an operator must see. */
  readonly warn: (message: string, details: Readonly<Record<string, unknown>>) => void;
  /** What is counted of the VMs that this process supervises. */
  readonly meters: Meters;
  /** What passes between those VMs and this host by vsock. */
  readonly vsock: VsockBrokers;
  /** Sees what is done: for metrics and traces. */
  readonly observer: Observer;
  /** Told what happens, for the log. */
  readonly note: (message: string, details: Readonly<Record<string, unknown>>) => void;
}
