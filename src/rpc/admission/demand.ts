import type { VmSpec } from "../../vm/spec.ts";
import type { VmState } from "../../vm/state.ts";
import { hasEnded } from "../../vm/state.ts";
import type { Demand } from "./budget.ts";

const MIB = 1024 * 1024;

/** What a VM's demand is worked out with. */
export interface DemandDeps {
  /** What is counted for a VM beside its guest's memory. */
  readonly overheadMib: number;
  /** Size of a file; 0 where it is not there. */
  readonly fileBytes: (path: string) => number;
}

/** What a VM needs from the moment at which it is accepted until it has ended. */
export function demandOf(spec: VmSpec, deps: DemandDeps): Demand {
  return { ...standingDemandOf(spec, deps), disk: copiesOf(spec, deps) };
}

/** What a VM that is there holds. Its disks are copied by then: what they take is not free any more. */
export function heldBy(state: VmState, spec: VmSpec, deps: DemandDeps): Demand {
  if (hasEnded(state)) return {};
  if (state === "created" || state === "starting") return demandOf(spec, deps);
  return standingDemandOf(spec, deps);
}

function standingDemandOf(spec: VmSpec, { overheadMib }: DemandDeps): Demand {
  return {
    vms: 1,
    vcpus: spec.vcpus,
    memory: (spec.memoryMib + overheadMib) * MIB,
    ...(spec.jailed && spec.uid === undefined ? { uids: 1 } : {}),
    ...(spec.vsock === undefined ? {} : { cids: 1 }),
  };
}

/** Disks that the VM gets copies of. Where the file system can share what is the same it takes less. */
function copiesOf({ drives }: VmSpec, { fileBytes }: DemandDeps): number {
  return drives.filter(({ readOnly }) => !readOnly).reduce((sum, { path }) => sum + fileBytes(path), 0);
}

/** The sum of demands. */
export function sumOf(demands: readonly Demand[]): Demand {
  const sum: Record<string, number> = {};
  for (const demand of demands) {
    for (const [name, amount] of Object.entries(demand)) sum[name] = (sum[name] ?? 0) + (amount ?? 0);
  }
  return sum;
}
