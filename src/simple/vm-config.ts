/**
 * What runs in one microVM: {@link VmConfig}, apart from {@link JailerConfig}, which says how it is sandboxed. The second
 * follows from the first: see {@link toJailerConfig}.
 *
 * @module
 */
import type { FieldProblem } from "../vm/error.ts";
import { vmIdProblem } from "../vm/id.ts";
import { memoryLimitFor } from "../vm/limits.ts";
import { pathProblem } from "../vm/path.ts";
import { mibToBytes } from "../vm/size.ts";
import { refuseProblems } from "./context.ts";
import {
  cpuProblem,
  defaultJailerConfig,
  type JailerConfig,
  jailerConfigProblems,
  listProblems,
  memoryProblem,
} from "./jailer-config.ts";

/** What runs in one microVM. Made by {@link vmConfig}, or from {@link defaultVmConfig} by spread. */
export interface VmConfig {
  /** Name of the VM and of its jail: 1 to 64 letters, digits and hyphens. */
  readonly vmId: string;
  /** Virtual CPUs, 1 to 32. Default 1. */
  readonly vcpuCount: number;
  /** Memory of the guest in MiB, at least 128. Default 256. */
  readonly memoryMb: number;
  /**
   * Uncompressed kernel to boot (vmlinux). Absent: none is booted; Firecracker waits for its configuration on its API,
   * and files named there are those of its jail.
   */
  readonly kernelPath?: string;
  readonly initrdPath?: string;
  /** Disk that the kernel mounts as `/`; `/drive-rootfs` in the jail. A VM writes to a copy of its own. */
  readonly rootfsPath?: string;
  /** Kernel arguments in the place of the usual ones. */
  readonly bootArgs?: string;
}

/** The defaults. */
export const defaultVmConfig: VmConfig = Object.freeze({ vmId: "default", vcpuCount: 1, memoryMb: 256 });

/**
 * A VM with everything but the id by default.
 *
 * @example
 * const config = vmConfig("my-agent-task", { vcpuCount: 2, kernelPath: "/srv/images/vmlinux" });
 */
export function vmConfig(id: string, overrides: Partial<Omit<VmConfig, "vmId">> = {}): VmConfig {
  return Object.freeze({ ...defaultVmConfig, ...overrides, vmId: id });
}

/** What of a sandbox does not follow from the VM in it. */
export type SandboxOverrides = Partial<Omit<JailerConfig, "jailerId" | "cpuCount">>;

/**
 * The sandbox of a VM: its jail has the VM's id, a CPU for each vCPU, and the VM's memory as its limit. Where a kernel is
 * booted, the limit has room for Firecracker itself on top: a guest that used all its memory would be killed otherwise.
 *
 * @example
 * toJailerConfig(vmConfig("vm-1", { vcpuCount: 2 })).cpuCount; // 2
 */
export function toJailerConfig(config: VmConfig, overrides: SandboxOverrides = {}): JailerConfig {
  return Object.freeze({
    ...defaultJailerConfig,
    memoryLimitMb: memoryLimitMbOf(config),
    ...overrides,
    jailerId: config.vmId,
    cpuCount: config.vcpuCount,
  });
}

const BYTES_PER_MIB = mibToBytes(1);

function memoryLimitMbOf({ memoryMb, kernelPath }: VmConfig): number {
  return kernelPath === undefined ? memoryMb : Math.ceil(memoryLimitFor(mibToBytes(memoryMb)) / BYTES_PER_MIB);
}

/**
 * Checks what runs in a VM. Whether its files can be used is looked at by the start.
 *
 * @throws {@link WarderError} `invalid-argument` with all problems in `fields`.
 * @example
 * validateVmConfig(vmConfig("vm-1", { memoryMb: 64 })); // Memory must be at least 128 MB, got 64
 */
export function validateVmConfig(config: VmConfig): void {
  refuseProblems(`checking the configuration of ${config.vmId}`, vmConfigProblems(config));
}

/** Everything that is wrong with a VM and its sandbox. What follows from the VM is named once, as the VM's. */
export function sandboxedVmProblems(config: VmConfig, overrides: SandboxOverrides): FieldProblem[] {
  const derived = ["jailerId", "cpuCount", ...(overrides.memoryLimitMb === undefined ? ["memoryLimitMb"] : [])];
  const sandbox = jailerConfigProblems(toJailerConfig(config, overrides));
  return [...vmConfigProblems(config), ...sandbox.filter(({ field }) => !derived.includes(field))];
}

function vmConfigProblems(config: VmConfig): FieldProblem[] {
  return listProblems({
    vcpuCount: cpuProblem("vCPU count", config.vcpuCount),
    memoryMb: memoryProblem("Memory", config.memoryMb),
    vmId: vmIdProblem(config.vmId),
    kernelPath: optional(config.kernelPath),
    initrdPath: optional(config.initrdPath),
    rootfsPath: optional(config.rootfsPath),
  });
}

function optional(path: string | undefined): string | undefined {
  return path === undefined ? undefined : pathProblem(path);
}
