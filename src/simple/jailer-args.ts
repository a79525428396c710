/**
 * What the real jailer is told for a {@link JailerConfig}, and where the API socket lies then. Pure: no host is looked
 * at, nothing is made. A start uses the same functions on the host as it is.
 *
 * @module
 */
import { loadConfig } from "../config/config.ts";
import { previewStart, type StartPreview } from "../lifecycle/preview.ts";
import { type VmId, vmIdProblem } from "../vm/id.ts";
import type { IsolationPolicy } from "../vm/isolation.ts";
import { type HostPath, pathProblem, toHostPath } from "../vm/path.ts";
import { mibToBytes } from "../vm/size.ts";
import { parseVmSpec, type VmSpecInput } from "../vm/spec.ts";
import { refuseProblems } from "./context.ts";
import { type JailerConfig, listProblems } from "./jailer-config.ts";

/** Where Firecracker binds its API socket, as it sees it. */
const JAILED_SOCKET = "/run/firecracker.socket";

/** Where an unjailed VM's lies on the host; the core puts the id in. */
const UNJAILED_SOCKET = "/tmp/firecracker-{id}.sock";

/** What runs in a sandbox, as far as it is not the sandbox's. */
export type Guest = Partial<Pick<VmSpecInput, "initrd" | "bootArgs" | "drives">> & {
  /** Absent: none is booted. */
  readonly kernel?: string;
  /** Absent: the limit of the sandbox. */
  readonly memoryMib?: number;
};

/** How a VM is started, beside what it is. */
export interface Manner {
  readonly jailed: boolean;
  readonly policy: IsolationPolicy;
  readonly timeoutMs?: number;
}

/** The core's description of a VM in a sandbox: the one place where the two vocabularies meet. */
export function toSpecInput(config: JailerConfig, guest: Guest, { jailed, policy, timeoutMs }: Manner): VmSpecInput {
  const { jailerId, cpuCount, memoryLimitMb, netns, uid, gid } = config;
  const { kernel = "none", memoryMib = memoryLimitMb, ...devices } = guest;
  return {
    ...devices,
    id: jailerId,
    kernel,
    vcpus: cpuCount,
    memoryMib,
    limits: { ...toMutable(config.limits), memoryBytes: mibToBytes(memoryLimitMb), cpuPercent: cpuCount * 100 },
    jailed,
    policy,
    apiSocket: jailed ? JAILED_SOCKET : UNJAILED_SOCKET,
    ...(timeoutMs === undefined ? {} : { startTimeoutMs: timeoutMs }),
    // Only the jailer changes users and joins namespaces.
    ...(jailed && netns !== undefined ? { netns } : {}),
    ...(jailed && uid !== undefined ? { uid } : {}),
    ...(jailed && gid !== undefined ? { gid } : {}),
  };
}

function toMutable(limits: JailerConfig["limits"]): NonNullable<VmSpecInput["limits"]> {
  const { io, ...rest } = limits ?? {};
  return { ...rest, ...(io === undefined ? {} : { io: io.map((each) => ({ ...each })) }) };
}

/**
 * The jailer's command line for a configuration, program excluded, as a start on a common host would have it: cgroup v2
 * unless the configuration says 1, and the first user id of the range where it names none. What stands behind `--` is
 * Firecracker's.
 *
 * @throws {@link WarderError} `invalid-argument`, `socket-path-too-long`.
 * @example
 * buildJailerArgs(jailerConfig("vm-1", { cpuCount: 2, memoryLimitMb: 512 }));
 * // --id vm-1 --exec-file … --uid … --gid … --chroot-base-dir /var/jail --cgroup-version 2 --parent-cgroup jailer
 * // --cgroup memory.max=536870912 --cgroup "cpu.max=200000 100000" … -- --api-sock /run/firecracker.socket …
 */
export function buildJailerArgs(config: JailerConfig): string[] {
  return [...preview(config).args];
}

/**
 * Where a configuration's API socket lies on the host. In the jail where symbolic links play no part: a start resolves
 * those of `execFile` and `chrootBaseDir`, as the jailer does, so what a running VM says itself is what counts.
 *
 * @param jailed - False: where it lies if Firecracker is started without the jailer. Default true.
 * @throws {@link WarderError} `invalid-argument`, `socket-path-too-long`.
 * @example
 * apiSocketPath(jailerConfig("vm-1")); // /var/jail/firecracker-v1.14.1/vm-1/root/run/firecracker.socket
 * apiSocketPath(jailerConfig("vm-1"), false); // /tmp/firecracker-vm-1.sock
 */
export function apiSocketPath(config: JailerConfig, jailed = true): string {
  if (jailed) return preview(config).layout.socket;
  refusePaths(config);
  return UNJAILED_SOCKET.replace("{id}", config.jailerId);
}

function preview(config: JailerConfig): StartPreview {
  const { jailerId, execFile, jailerBinary, chrootBaseDir, cgroupVersion = 2 } = config;
  refusePaths(config);
  const { uidRange, parentCgroup } = loadConfig({}, {});
  const uid = config.uid ?? uidRange.first;
  const spec = parseVmSpec(toSpecInput(config, {}, { jailed: true, policy: "degrade" }));
  return previewStart(spec, jailerId as VmId, {
    firecracker: toHostPath(execFile),
    jailer: jailerBinary as HostPath,
    chrootBase: toHostPath(chrootBaseDir),
    parentCgroup,
    cgroupVersion,
    user: { uid, gid: config.gid ?? uid },
  });
}

/** Whether the binaries are there is not asked: this looks at no host. */
function refusePaths({ jailerId, execFile, chrootBaseDir }: JailerConfig): void {
  const problems = {
    jailerId: vmIdProblem(jailerId),
    execFile: pathProblem(execFile),
    chrootBaseDir: pathProblem(chrootBaseDir),
  };
  refuseProblems(`reading the configuration of ${jailerId}`, listProblems(problems));
}
