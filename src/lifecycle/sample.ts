import type { HostSample, HostSource, VmMeasure, VmSample } from "../observability/metrics/host-sample.ts";
import { type LeaseKind, leaseKinds } from "../store/leases.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { isLive } from "../vm/state.ts";
import type { Machinery } from "./machinery.ts";
import { usageOf } from "./usage.ts";

/** What the last look at a VM found; `undefined` where there was none. */
export type HealthLookup = (id: VmId) => boolean | undefined;

const MIB = 1024 * 1024;

/** What of an open host is measured for metrics. */
export function hostSource(machinery: Machinery, isHealthy: HealthLookup = () => undefined): HostSource {
  return { sample: () => sampleHost(machinery, isHealthy) };
}

function sampleHost(machinery: Machinery, isHealthy: HealthLookup): HostSample {
  const { store, meters } = machinery;
  const records = store.list();
  const live = new Set<string>(records.filter(({ state }) => isLive(state)).map(({ id }) => id));
  return {
    vms: records.map((record) => sampleVm(machinery, record, isHealthy)),
    leases: leasesOf(machinery),
    remains: store.ledger().filter(({ vmId }) => !live.has(vmId)).length,
    freeBytes: freeBytesOf(machinery),
    metricsLines: meters.lines,
  };
}

function leasesOf({ store, settings }: Machinery): HostSample["leases"] {
  const ids = Number(settings.uidRange.count);
  const totals: Partial<Record<LeaseKind, number>> = {
    uid: ids,
    gid: ids,
    "host-port": settings.network.hostPorts.count,
  };
  return leaseKinds.map((kind) => {
    const total = totals[kind];
    const rests = kind === "uid" || kind === "gid";
    return {
      kind,
      used: store.leases.count(kind),
      ...(rests ? { resting: store.leases.resting(kind).length } : {}),
      ...(total === undefined ? {} : { total }),
    };
  });
}

function freeBytesOf({ host, settings }: Machinery): HostSample["freeBytes"] {
  const directories = [
    ["state", settings.stateDir],
    ["jails", settings.chrootBase],
  ] as const;
  return directories.flatMap(([directory, path]) => {
    try {
      return [{ directory, bytes: host.files.freeBytes(path) }];
    } catch (error) {
      // A directory that is gone has no room to tell of; all else is told by whoever wants to write there.
      if (systemCodeOf(error) === "ENOENT") return [];
      throw error;
    }
  });
}

function sampleVm(machinery: Machinery, record: VmRecord, isHealthy: HealthLookup): VmSample {
  const { spec, isolation, startedAt } = record;
  const healthy = isHealthy(record.id);
  return {
    id: record.id,
    state: record.state,
    isLive: isLive(record.state),
    ...(isolation === undefined ? {} : { isolation: { level: isolation.level, gaps: isolation.gaps.length } }),
    vcpus: spec.vcpus,
    memoryBytes: spec.memoryMib * MIB,
    ...(spec.limits.memoryBytes === undefined ? {} : { memoryLimitBytes: spec.limits.memoryBytes }),
    runs: record.incarnation,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(healthy === undefined ? {} : { isHealthy: healthy }),
    measure: () => measureVm(machinery, record),
  };
}

function measureVm({ host, meters }: Machinery, record: VmRecord): VmMeasure {
  const devices = meters.devices(record.id);
  const droppedBytes = meters.droppedBytes(record.id);
  return {
    usage: usageOf(host, record),
    ...(devices === undefined ? {} : { devices }),
    ...(droppedBytes === undefined ? {} : { droppedBytes }),
  };
}
