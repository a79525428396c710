/**
 * One Firecracker, started in a jail of its own by the real jailer, and waiting for its configuration on its API socket:
 * nothing untrusted runs until the caller starts a guest there.
 *
 * Security: the jail is read back from the kernel, control by control, before {@link startWithJailer} returns; what that
 * came to is in `isolation`. The socket can be reached by root and by the jail's own user only. Everything in the jail's
 * tree belongs to an attacker once a guest runs: follow no path in it then.
 *
 * @module
 */
import { killLadder } from "../vm/shutdown.ts";
import { type HostPool, sharedHosts } from "./hosts.ts";
import type { JailerConfig } from "./jailer-config.ts";
import type { CallOptions } from "./running-vm.ts";
import { SandboxedProcess } from "./sandboxed-process.ts";
import { type StartWithJailerOptions, startSandboxed } from "./start.ts";

/** How long a process may take to end after SIGTERM, where the caller says nothing. */
export const TERMINATE_TIMEOUT_MS = 5_000;

/**
 * Starts Firecracker with the jailer: chroot, cgroup limits, a user of its own and, if asked for, a network namespace.
 * Where no jailer is installed, Firecracker is started without one, and a warning says so; in production that is refused.
 * The API socket answers when this returns. Any number may be started at once, each with an id of its own.
 *
 * Security: assert `process.jailed`, or set `NODE_ENV=production`, wherever a sandbox is needed.
 *
 * @throws {@link WarderError}; the host is then as it was before. Its chain of causes says what was being done: `Invalid
 * Jailer configuration`, `Failed to spawn jailer process`.
 * @example
 * await using process = await startWithJailer(jailerConfig("secure-vm-123", { cpuCount: 2, memoryLimitMb: 512 }));
 * assert(process.jailed, "Production requires sandboxing!");
 * // PUT /boot-source, /drives/rootfs and /actions on process.apiSocket, then:
 * const { level } = await process.prove(); // "proven"
 */
export function startWithJailer(config: JailerConfig, options: StartWithJailerOptions = {}): Promise<JailerProcess> {
  return startWithJailerOn(sharedHosts, config, options);
}

/** @internal {@link startWithJailer} on hosts of the caller's. */
export async function startWithJailerOn(
  pool: HostPool,
  config: JailerConfig,
  options: StartWithJailerOptions,
): Promise<JailerProcess> {
  return new JailerProcess(await startSandboxed(config, {}, options, pool));
}

/** A Firecracker that {@link startWithJailer} has started. */
export class JailerProcess extends SandboxedProcess {
  /** Path of the API socket on the host. */
  get apiSocket(): string {
    return this.started.jail.socket;
  }

  /** False where it was started without the jailer. */
  get jailed(): boolean {
    return this.started.jailed;
  }

  /**
   * Sends SIGTERM and waits until the process has ended and everything of it is gone. Fine if it has ended already.
   *
   * @throws {@link WarderError} `process-stuck` where it takes no notice within `timeoutMs` (default 5000):
   * {@link JailerProcess.forceKill} helps then.
   * @example
   * await process.terminate({ timeoutMs: 1_000 });
   */
  async terminate({ signal, timeoutMs = TERMINATE_TIMEOUT_MS }: CallOptions = {}): Promise<void> {
    await this.stop([{ method: "sigterm", timeoutMs }], signal === undefined ? {} : { signal });
  }

  /**
   * Sends SIGKILL and waits until the process has ended and everything of it is gone. Fine if it has ended already.
   *
   * @throws {@link WarderError} `process-stuck` where the kernel does not end it within `timeoutMs` (default 10000).
   * @example
   * await process.terminate({ timeoutMs: 1_000 }).catch(() => process.forceKill());
   */
  async forceKill({ signal, timeoutMs }: CallOptions = {}): Promise<void> {
    const ladder = timeoutMs === undefined ? killLadder : ([{ method: "sigkill", timeoutMs }] as const);
    await this.stop(ladder, signal === undefined ? {} : { signal });
  }
}
