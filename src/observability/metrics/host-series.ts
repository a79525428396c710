import type { Registry } from "prom-client";
import { vmStates } from "../../vm/state.ts";
import type { HostSample, VmSample } from "./host-sample.ts";
import { makers } from "./instruments.ts";

const levels = ["proven", "partial", "degraded", "unjailed"] as const;

/** Series of the host as a whole, written anew for each scrape. */
export class HostSeries {
  readonly #series: ReturnType<typeof createSeries>;

  constructor(registry: Registry) {
    this.#series = createSeries(registry);
  }

  write(sample: HostSample): void {
    this.clear();
    this.#writeVms(sample.vms);
    const { leases, leasesResting, leasesTotal, free, remains, metricsLines } = this.#series;
    for (const { kind, used, resting, total } of sample.leases) {
      leases.set({ kind }, used);
      if (resting !== undefined) leasesResting.set({ kind }, resting);
      if (total !== undefined) leasesTotal.set({ kind }, total);
    }
    for (const { directory, bytes } of sample.freeBytes) free.set({ directory }, bytes);
    remains.set(sample.remains);
    metricsLines.inc({ result: "taken" }, sample.metricsLines.taken);
    metricsLines.inc({ result: "refused" }, sample.metricsLines.refused);
  }

  /** Nothing is known of the host: better no series than old ones. */
  clear(): void {
    for (const each of Object.values(this.#series)) {
      each.reset();
      // A reset leaves series without labels at 0, which would be a claim.
      each.remove({});
    }
  }

  #writeVms(vms: readonly VmSample[]): void {
    const live = vms.filter(({ isLive }) => isLive);
    for (const state of vmStates) this.#series.vms.set({ state }, vms.filter((vm) => vm.state === state).length);
    for (const level of levels)
      this.#series.isolation.set({ level }, live.filter(({ isolation }) => isolation?.level === level).length);
    this.#series.unhealthy.set(live.filter(({ isHealthy }) => isHealthy === false).length);
    this.#series.promisedMemory.set(sum(live.map(({ memoryBytes }) => memoryBytes)));
    this.#series.promisedVcpus.set(sum(live.map(({ vcpus }) => vcpus)));
  }
}

function createSeries(registry: Registry) {
  const { counter, gauge } = makers(registry);
  return {
    vms: gauge("warder_vms", "VMs that are recorded, by state.", ["state"]),
    isolation: gauge("warder_vms_isolation", "VMs with a process, by how isolated they were found to be.", ["level"]),
    unhealthy: gauge("warder_vms_unhealthy", "VMs with a process that count as unhealthy.", []),
    promisedMemory: gauge("warder_vms_memory_bytes", "Memory that the guests of VMs with a process were given.", []),
    promisedVcpus: gauge("warder_vms_vcpus", "Virtual CPUs that the guests of VMs with a process were given.", []),
    leases: gauge("warder_leases_used", "What VMs have for themselves, by kind.", ["kind"]),
    leasesResting: gauge(
      "warder_leases_resting",
      "What VMs had, and is not given out again before nothing of these VMs is left, by kind.",
      ["kind"],
    ),
    leasesTotal: gauge("warder_leases_limit", "How many there are for VMs, by kind.", ["kind"]),
    remains: gauge("warder_remains", "Objects on the host that belong to VMs which have ended: what `gc` removes.", []),
    free: gauge("warder_free_bytes", "Room left in the file systems of Warder's directories, by directory.", [
      "directory",
    ]),
    metricsLines: counter(
      "warder_firecracker_metrics_lines_total",
      "Lines of metrics that the Firecrackers of VMs have written, by whether they were what they should be.",
      ["result"],
    ),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
