import type { Config } from "../config/config.ts";
import type { Machinery } from "../lifecycle/machinery.ts";
import { readSystem } from "../lifecycle/system-info.ts";
import type { Tenant } from "../vm/belongings.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { Totals } from "./admission/admission.ts";

const MIB = 1024 * 1024;

/** What a host has for VMs, as its kernel and its settings say. */
export function hostTotals(
  { host, store, settings }: Machinery,
  config: Pick<Config, "admission" | "uidRange" | "network">,
): Totals {
  const { maxVms, cpuOvercommit, hostReserveMib, diskReserveBytes } = config.admission;
  const { memory, cores } = readSystem(host);
  const resting = store.leases.resting("uid").length;
  return {
    ...(memory === undefined ? {} : { memory: Math.max(0, memory.totalBytes - hostReserveMib * MIB) }),
    vcpus: Math.floor(cores * cpuOvercommit),
    vms: maxVms,
    uids: Number(config.uidRange.count) - resting,
    cids: config.network.vsockCids.count,
    disk: Math.max(0, freeBytes(host, settings.chrootBase) - diskReserveBytes),
  };
}

/** What a tenant may have at most, by what is said of it, else by what is said of all. */
export function quotaTotals({ quota }: Pick<Config, "quota">, tenant: Tenant): Totals {
  const { vms, vcpus, memoryMib } = { ...quota, ...quota.tenants[tenant] };
  return {
    ...(vms === undefined ? {} : { vms }),
    ...(vcpus === undefined ? {} : { vcpus }),
    ...(memoryMib === undefined ? {} : { memory: memoryMib * MIB }),
  };
}

function freeBytes({ files }: Machinery["host"], directory: string): number {
  try {
    return files.freeBytes(directory);
  } catch (error) {
    // Where jails can not be made there is no room for them.
    if (systemCodeOf(error) === "ENOENT") return 0;
    throw error;
  }
}
