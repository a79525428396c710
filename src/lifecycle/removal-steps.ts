import { parseMounts } from "../cgroup/mounts.ts";
import { directoriesOf } from "../cgroup/place.ts";
import { removeCgroups } from "../cgroup/remove.ts";
import type { Host } from "../host/host.ts";
import { removeJail } from "../jailer/jail.ts";
import { refuseStrangePlace } from "../jailer/place.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { CgroupPlacement, VmRecord } from "../vm/record.ts";
import type { Step } from "./engine.ts";
import { refuseStranger } from "./identity.ts";
import type { Machinery } from "./machinery.ts";
import { killAndWait } from "./process-end.ts";

/** What a removal is of. */
export interface RemovalContext {
  readonly machinery: Machinery;
  readonly record: VmRecord;
}

/** A cgroup can be busy for a moment after its last process was reaped. */
const CGROUP_TIMEOUT_MS = 5_000;

/** Removes the cgroups of a VM whose process is dead. Idempotent. */
export async function removeVmCgroups(machinery: Machinery, placement: CgroupPlacement): Promise<void> {
  await removeCgroups(machinery.host, placement, { timeoutMs: CGROUP_TIMEOUT_MS });
}

/** Makes sure that the VM's process is dead, and ends whatever else it has left in its cgroups: nothing forks there unseen. */
const endProcesses: Step<RemovalContext> = {
  name: "end-processes",
  async run({ machinery, record }) {
    const { host } = machinery;
    const process = refuseStranger(machinery, record, `removing what belongs to ${record.id}`);
    if (process !== undefined && host.processes.isAlive(process)) throw stillThere(record, process);
    if (record.cgroup !== undefined) await killAndWait(host, record.id, membersOf(host, record.cgroup));
  },
};

const removeCgroupsStep: Step<RemovalContext> = {
  name: "remove-cgroups",
  async run({ machinery, record }) {
    if (record.cgroup !== undefined) await removeVmCgroups(machinery, record.cgroup);
  },
};

/** What somebody has mounted in the jail is not the jail's: it is taken off, and stays what it is. */
const unmount: Step<RemovalContext> = {
  name: "unmount",
  async run({ machinery: { host }, record }) {
    const text = host.files.readText(`${host.roots.proc}/self/mounts`);
    const mounts = parseMounts(text).map(({ path }) => path);
    const inside = mounts.filter((path) => path.startsWith(`${record.layout.directory}/`));
    // The innermost first: what is mounted later may be mounted upon what was mounted before.
    for (const path of inside.toReversed()) await host.commands.run({ tool: "umount", args: ["--", path] });
  },
};

const removeNetwork: Step<RemovalContext> = {
  name: "remove-network",
  async run({ machinery, record }) {
    if (record.network !== undefined) await (await import("./network.ts")).removeVmNetwork(machinery, record);
  },
};

const removeJailStep: Step<RemovalContext> = {
  name: "remove-jail",
  async run({ machinery: { host }, record }) {
    const { layout, rootIdentity, process } = record;
    const isSameBoot = process?.bootId === host.processes.self.bootId;
    refuseStrangePlace(host, layout, isSameBoot ? rootIdentity : undefined);
    await removeJail(host, layout);
  },
};

/**
 * Everything of a VM that lies on the host, in the only order in which it can go: dead, reaped, cgroups, mounts, network,
 * jail. Each may be repeated, and what is gone already is fine.
 */
export const removalSteps: readonly Step<RemovalContext>[] = Object.freeze([
  endProcesses,
  removeCgroupsStep,
  unmount,
  removeNetwork,
  removeJailStep,
]);

/** Processes in a VM's cgroups, where only its own can be. */
function membersOf(host: Host, placement: CgroupPlacement): ProcessIdentity[] {
  const pids = directoriesOf(placement).flatMap((directory) => {
    try {
      return host.files.readText(`${directory}/cgroup.procs`).split("\n").filter(Boolean).map(Number);
    } catch (error) {
      if (["ENOENT", "ENODEV"].includes(systemCodeOf(error) ?? "")) return [];
      throw error;
    }
  });
  return [...new Set(pids)].map((pid) => host.processes.identify(pid)).filter((identity) => identity !== undefined);
}

function stillThere({ id }: VmRecord, { pid }: ProcessIdentity): WarderError {
  return new WarderError("wrong-state", {
    doing: `removing what belongs to ${id}`,
    why: `its process ${pid} is still there`,
    cure: `End it first: \`warder kill ${id}\``,
  });
}
