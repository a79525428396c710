/**
 * One microVM from start to stop: {@link startFirecracker}, {@link stopFirecracker}. Sandboxed by itself wherever the
 * jailer is installed.
 *
 * Security: `isSandboxed` says whether the jailer was used, `isolation` what the kernel says of each control. In
 * production (`NODE_ENV` or `WARDER_ENV` is `production`) nothing starts without a sandbox.
 *
 * @module
 */
import { openThisMachine } from "../lifecycle/this-machine.ts";
import { killLadder, type ShutdownLadder, type ShutdownOutcome } from "../vm/shutdown.ts";
import { contexts, inContext, refuseInvalid } from "./context.ts";
import { type HostPool, sharedHosts } from "./hosts.ts";
import type { Guest } from "./jailer-args.ts";
import { TERMINATE_TIMEOUT_MS } from "./jailer-process.ts";
import type { CallOptions, RunningVm } from "./running-vm.ts";
import { SandboxedProcess } from "./sandboxed-process.ts";
import { type StartWithJailerOptions, startSandboxed } from "./start.ts";
import { type SandboxOverrides, sandboxedVmProblems, toJailerConfig, type VmConfig } from "./vm-config.ts";

/** How a VM is started. */
export interface StartFirecrackerOptions extends StartWithJailerOptions {
  /** What of the sandbox does not follow from the VM: binaries, directory of jails, network namespace … */
  readonly sandbox?: SandboxOverrides;
}

/** How a VM is stopped. */
export interface StopOptions extends CallOptions {
  /** Most milliseconds from SIGTERM to SIGKILL. Default 5000. */
  readonly timeoutMs?: number;
  /** Other means in the place of SIGTERM and SIGKILL. `defaultShutdownLadder` begins with Ctrl-Alt-Del. */
  readonly ladder?: ShutdownLadder;
}

/**
 * Starts a microVM, sandboxed by the jailer where one is installed: see {@link startWithJailer}. With a kernel it is
 * booted, and runs and is proven when this returns; without one Firecracker waits for its configuration on its API.
 *
 * @throws {@link WarderError} whose text begins with `Failed to start Firecracker with Jailer`, with the causes behind
 * it; the host is then as it was before.
 * @example
 * const vm = await startFirecracker(vmConfig("my-agent-task"));
 * console.log(`VM started: ${vm.pid} (sandboxed: ${vm.isSandboxed})`);
 * await stopFirecracker(vm);
 */
export function startFirecracker(config: VmConfig, options: StartFirecrackerOptions = {}): Promise<FirecrackerProcess> {
  return startFirecrackerOn(sharedHosts, config, options);
}

/** @internal {@link startFirecracker} on hosts of the caller's. */
export async function startFirecrackerOn(
  pool: HostPool,
  config: VmConfig,
  { sandbox = {}, ...options }: StartFirecrackerOptions,
): Promise<FirecrackerProcess> {
  try {
    refuseInvalid(config.vmId, sandboxedVmProblems(config, sandbox));
    const vm = await startSandboxed(toJailerConfig(config, sandbox), toGuest(config), options, pool);
    return new FirecrackerProcess(config, vm);
  } catch (error) {
    throw inContext(contexts.start, error);
  }
}

/** A microVM that {@link startFirecracker} has started. */
export class FirecrackerProcess extends SandboxedProcess {
  /** What it was started from. */
  readonly config: VmConfig;

  /** @internal Made by {@link startFirecracker}. */
  constructor(config: VmConfig, vm: RunningVm) {
    super(vm);
    this.config = config;
  }

  /** Path of the API socket on the host: in the jail, or in `/tmp` where there is none. */
  get socketPath(): string {
    return this.started.jail.socket;
  }

  /** Whether the jailer was used. */
  get isSandboxed(): boolean {
    return this.started.jailed;
  }
}

/**
 * Stops a microVM: SIGTERM, and SIGKILL where that did not help in time. When this returns the process is dead, and its
 * jail, cgroups, socket and record are gone. Fine if it has ended already.
 *
 * @returns What each means did.
 * @example
 * const { endedBy } = await stopFirecracker(vm, { timeoutMs: 2_000 }); // "sigterm"
 */
export async function stopFirecracker(process: SandboxedProcess, options: StopOptions = {}): Promise<ShutdownOutcome> {
  const { signal, timeoutMs = TERMINATE_TIMEOUT_MS } = options;
  const ladder = options.ladder ?? [{ method: "sigterm", timeoutMs }, ...killLadder];
  return process.stop(ladder, signal === undefined ? {} : { signal });
}

/**
 * Whether a microVM's process runs. Of a bare pid only this is known: that some process has it now.
 *
 * @example
 * if (!(await isVmRunning(vm))) console.log(vm.inspect().exit?.cause);
 */
export async function isVmRunning(process: SandboxedProcess | number): Promise<boolean> {
  if (typeof process !== "number") return process.isRunning();
  return (
    Number.isSafeInteger(process) && process > 0 && openThisMachine().host.processes.identify(process) !== undefined
  );
}

function toGuest({ kernelPath, initrdPath, rootfsPath, bootArgs, memoryMb }: VmConfig): Guest {
  return {
    memoryMib: memoryMb,
    ...(kernelPath === undefined ? {} : { kernel: kernelPath }),
    ...(initrdPath === undefined ? {} : { initrd: initrdPath }),
    ...(rootfsPath === undefined ? {} : { drives: [{ path: rootfsPath, root: true }] }),
    ...(bootArgs === undefined ? {} : { bootArgs }),
  };
}
