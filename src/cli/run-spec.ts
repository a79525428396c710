import type { VmSpecInput } from "../vm/spec.ts";
import type { FlagValues } from "./flags.ts";
import { networkFlagOf, toNetworks } from "./net-flags.ts";
import type { runFlags } from "./run-flags.ts";

/** What the flags of `run` came to. */
export type RunFlagValues = FlagValues<typeof runFlags>;

/** Flags of the fields of a VM's description, and of the roles of its files, where the names differ. */
const flagNames: Readonly<Record<string, string>> = {
  bootArgs: "--boot-args",
  memoryMib: "--memory",
  policy: "--isolation",
  jailed: "--unjailed",
  newPidNamespace: "--new-pid-ns",
  apiSocket: "--api-sock",
  startTimeoutMs: "--timeout",
  drives: "--drive",
  "drive rootfs": "--rootfs",
  "limits.memoryBytes": "--memory-limit",
  "limits.cpuPercent": "--cpu-percent",
  "limits.cpuWeight": "--cpu-weight",
  "limits.memoryNodes": "--memory-nodes",
  "limits.openFiles": "--open-files",
  "limits.fileSizeBytes": "--file-size",
};

/** The flag by which a field of a VM's description was given: `drives[1].path` is `--drive`. */
export function flagOfField(field: string, hasRootfs: boolean): string {
  const known = flagNames[field];
  if (known !== undefined) return known;
  const network = networkFlagOf(field);
  if (network !== undefined) return network;
  if (/^drives.*\.rateLimit/.test(field)) return "--drive-limit";
  if (field.startsWith("vsock.")) return field.startsWith("vsock.ports") ? "--vsock-port" : "--vsock-limit";
  if (hasRootfs && field.startsWith("drives[0]")) return "--rootfs";
  if (field.startsWith("drive")) return "--drive";
  return `--${field.replace(/^limits\./, "").replace(/[[.].*$/, "")}`;
}

const BYTES_PER_MIB = 1024 * 1024;

/** The description of a VM that flags give; what they do not say is left to its defaults. */
export function toSpecInput(flags: RunFlagValues): VmSpecInput {
  const input = {
    kernel: flags.probe === true ? "probe" : (flags.kernel ?? "probe"),
    id: flags.id,
    initrd: flags.initrd,
    bootArgs: flags.bootArgs,
    vcpus: flags.vcpus,
    memoryMib: flags.memory,
    drives: toDrives(flags),
    networks: toNetworks(flags),
    vsock: toVsock(flags),
    limits: toLimits(flags),
    policy: flags.isolation,
    jailed: flags.unjailed !== true,
    uid: flags.uid,
    gid: flags.gid,
    netns: flags.netns,
    newPidNamespace: flags.newPidNs === true,
    apiSocket: flags.apiSock,
    restart: flags.restart,
    startTimeoutMs: flags.timeout,
  };
  return dropUndefined(input);
}

function toDrives({ rootfs, drive = [], driveLimit = [] }: RunFlagValues): NonNullable<VmSpecInput["drives"]> {
  const drives = [...(rootfs === undefined ? [] : [{ ...rootfs, root: true }]), ...drive];
  return drives.map((each) => {
    const limit = driveLimit.findLast(({ id }) => id === ("root" in each ? "rootfs" : each.id));
    return limit === undefined ? each : { ...each, rateLimit: limit.rateLimit };
  });
}

function toVsock({ vsock, vsockPort, vsockLimit }: RunFlagValues): VmSpecInput["vsock"] {
  if (vsock !== true && vsockPort === undefined && vsockLimit === undefined) return undefined;
  return dropUndefined({ ports: vsockPort?.map((each) => each), limits: vsockLimit });
}

function toLimits(flags: RunFlagValues): NonNullable<VmSpecInput["limits"]> {
  const bytes = (mib: number | undefined) => (mib === undefined ? undefined : mib * BYTES_PER_MIB);
  return dropUndefined({
    cpuPercent: flags.cpuPercent,
    cpuWeight: flags.cpuWeight,
    cpus: flags.cpus,
    memoryNodes: flags.memoryNodes,
    memoryBytes: bytes(flags.memoryLimit),
    pids: flags.pids,
    openFiles: flags.openFiles,
    fileSizeBytes: bytes(flags.fileSize),
    io: flags.io?.map((each) => ({ ...each })),
  });
}

type Defined<T> = { [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key] } & {
  [Key in keyof T as undefined extends T[Key] ? Key : never]?: Exclude<T[Key], undefined>;
};

function dropUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Defined<T>;
}

/** The description with a socket on the host where an unjailed VM was given none: a jail's default is no place for it. */
export function withHostSocket(spec: VmSpecInput, stateDir: string): VmSpecInput {
  if (spec.jailed !== false || spec.apiSocket !== undefined) return spec;
  return { ...spec, apiSocket: `${stateDir}/unjailed/{id}/api.socket` };
}
