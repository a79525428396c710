import type { Reporter } from "../lifecycle/open.ts";
import { WarderError } from "../vm/error.ts";
import type { IsolationPolicy } from "../vm/isolation.ts";
import type { HostPath } from "../vm/path.ts";
import { contexts, inContext, refuseInvalid } from "./context.ts";
import type { HostPool, HostSettings, OpenHost, VmOnHost } from "./hosts.ts";
import { type Guest, toSpecInput } from "./jailer-args.ts";
import { findJailer } from "./jailer-available.ts";
import { type JailerConfig, jailerConfigProblems } from "./jailer-config.ts";
import { type CallOptions, RunningVm } from "./running-vm.ts";

/** How a start is watched, and given up. */
export interface StartWithJailerOptions extends CallOptions {
  /** Most milliseconds until the VM is ready and proven, 100 to 600000. Default 30000. */
  readonly timeoutMs?: number;
  /**
   * What happens where a control can not be had: `degrade`, the default, starts all the same, warns and names each gap;
   * `strict` refuses. In production (`NODE_ENV` or `WARDER_ENV` is `production`) it is always `strict`.
   */
  readonly isolation?: IsolationPolicy;
  /** Gets each piece of the guest's output. */
  readonly onConsole?: (chunk: Uint8Array) => void;
  /** Gets warnings, and notes of what happens. Default: warnings go to standard error. */
  readonly reporter?: Reporter;
  /** Where the VM is written down while it runs. Default `WARDER_STATE_DIR`, else `/var/lib/warder`. */
  readonly stateDir?: string;
}

/**
 * The start behind both faces of the small API: checks, looks for the jailer, and has the core do the rest.
 *
 * @throws {@link WarderError}; the host is then as it was before.
 */
export async function startSandboxed(
  config: JailerConfig,
  guest: Guest,
  options: StartWithJailerOptions,
  pool: HostPool,
): Promise<RunningVm> {
  refuseAborted(options.signal, config.jailerId);
  refuseInvalid(config.jailerId, jailerConfigProblems(config));
  const jailer = findJailer(config);
  const lease = await pool.lease(settingsOf(config, jailer, options));
  try {
    if (jailer === undefined) refuseWithNetns(lease.host, config, options);
    return new RunningVm(lease, await run(lease.host, config, guest, jailer !== undefined, options));
  } catch (error) {
    await lease.release();
    throw error;
  }
}

function refuseAborted(signal: AbortSignal | undefined, id: string): void {
  if (signal?.aborted === true) throw WarderError.from(signal.reason, "aborted", `starting ${id}`);
}

function settingsOf(config: JailerConfig, jailer: HostPath | undefined, options: StartWithJailerOptions): HostSettings {
  return {
    firecracker: config.execFile,
    chrootBase: config.chrootBaseDir,
    ...(jailer === undefined ? {} : { jailer }),
    ...(config.cgroupVersion === undefined ? {} : { cgroupVersion: config.cgroupVersion }),
    ...(options.stateDir === undefined ? {} : { stateDir: options.stateDir }),
    ...(options.reporter === undefined ? {} : { reporter: options.reporter }),
  };
}

/** Where going on without the jailer is not allowed at all, the core says so: it alone knows the policy. */
function refuseWithNetns(
  host: OpenHost,
  config: JailerConfig,
  { isolation = "degrade" }: StartWithJailerOptions,
): void {
  if (host.isProduction || isolation === "strict") return;
  if (config.netns !== undefined) {
    throw new WarderError("unjailed-refused", {
      doing: `starting ${config.jailerId} without the jailer`,
      why: `it was to join the network namespace ${config.netns}, which only the jailer can`,
      cure: "Install the jailer (`warder setup`), or leave `netns` out",
    });
  }
}

async function run(
  host: OpenHost,
  config: JailerConfig,
  guest: Guest,
  jailed: boolean,
  { isolation: policy = "degrade", signal, onConsole, timeoutMs }: StartWithJailerOptions,
): Promise<VmOnHost> {
  const manner = { jailed, policy, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  try {
    return await host.run(toSpecInput(config, guest, manner), {
      ...(signal === undefined ? {} : { signal }),
      ...(onConsole === undefined ? {} : { onConsole }),
    });
  } catch (reason) {
    const error = WarderError.from(reason, "internal", `starting ${config.jailerId}`);
    if (error.code !== "jailer-failed") throw error;
    throw inContext(jailed ? contexts.spawn : contexts.spawnUnjailed, error);
  }
}
