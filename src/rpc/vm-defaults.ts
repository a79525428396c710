import type { Config } from "../config/config.ts";
import type { VmSpecInput } from "../vm/spec.ts";

type Needed = Pick<Config, "jail" | "vm" | "isolation" | "socketDir">;

/** Where metald's documents say that a jailed VM's API socket lies. */
const JAILED_SOCKET = "/tmp/firecracker.socket";

/**
 * What the daemon gives a VM where its caller says nothing.
 *
 * @param given - What the caller says.
 */
export function vmDefaultsOf(config: Needed, given: Partial<VmSpecInput> = {}): Partial<VmSpecInput> {
  const { jail, vm, isolation, socketDir } = config;
  const isJailed = given.jailed ?? jail.enabled;
  const { uid, gid, memoryLimitBytes, cpuQuotaPercent, openFiles, pids } = jail;
  return {
    jailed: isJailed,
    policy: isolation,
    apiSocket: isJailed ? JAILED_SOCKET : `${socketDir}/fc-{id}.sock`,
    memoryMib: vm.memoryMib,
    vcpus: vm.vcpus,
    startTimeoutMs: vm.startTimeoutMs,
    ...(isJailed ? { newPidNamespace: jail.pidNamespace } : {}),
    // One with nothing in it, unless the caller names its own.
    ...(isJailed && jail.networkNamespace && given.netns === undefined ? { networks: [] } : {}),
    ...(isJailed && uid !== undefined ? { uid, gid: gid ?? uid } : {}),
    limits: {
      openFiles,
      pids,
      ...(memoryLimitBytes === undefined ? {} : { memoryBytes: memoryLimitBytes }),
      ...(cpuQuotaPercent === undefined ? {} : { cpuPercent: cpuQuotaPercent }),
    },
  };
}
