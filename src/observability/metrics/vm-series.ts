import type { Registry } from "prom-client";
import type { VmMeasure, VmSample } from "./host-sample.ts";
import { makers } from "./instruments.ts";

/** VMs that are measured in one go, before other work gets its turn. */
const BATCH = 8;

/**
 * Series of single VMs: of those with a process, and of those that wait to be started again, for at most so many of them,
 * the oldest first, so that a series stays as long as its VM does. Written anew for each scrape: those of a VM go with it.
 */
export class VmSeries {
  readonly #series: ReturnType<typeof createSeries>;
  readonly #most: number;

  constructor(registry: Registry, most: number) {
    this.#series = createSeries(registry);
    this.#most = most;
  }

  /** @returns Why VMs could not be measured: these have no series of their own this time. */
  async write(vms: readonly VmSample[]): Promise<unknown[]> {
    const live = vms.filter(({ isLive, state }) => isLive || state === "restarting");
    const measured: [VmSample, VmMeasure][] = [];
    const failures: unknown[] = [];
    for (const [index, vm] of live.slice(0, this.#most).entries()) {
      if (index > 0 && index % BATCH === 0) await new Promise((resolve) => void setImmediate(resolve));
      try {
        measured.push([vm, vm.measure()]);
      } catch (error) {
        failures.push(error);
      }
    }
    this.clear();
    for (const [vm, measure] of measured) this.#writeOne(vm, measure);
    this.#series.omitted.set(live.length - measured.length);
    return failures;
  }

  /** Nothing is known of the VMs. */
  clear(): void {
    for (const each of Object.values(this.#series)) {
      each.reset();
      // A reset leaves series without labels at 0, which would be a claim.
      each.remove({});
    }
  }

  #writeOne(vm: VmSample, { usage, devices, droppedBytes }: VmMeasure): void {
    const series = this.#series;
    const vm_id = vm.id;
    series.runs.inc({ vm_id }, vm.runs);
    set(vm.startedAt, (value) => series.started.set({ vm_id }, value / 1000));
    if (vm.isHealthy !== undefined) series.healthy.set({ vm_id }, vm.isHealthy ? 1 : 0);
    set(vm.isolation?.gaps, (value) => series.gaps.set({ vm_id }, value));
    set(vm.memoryLimitBytes, (value) => series.memoryLimit.set({ vm_id }, value));
    set(usage.memoryBytes, (value) => series.memory.set({ vm_id }, value));
    set(usage.memoryPeakBytes, (value) => series.memoryPeak.set({ vm_id }, value));
    set(usage.pids, (value) => series.threads.set({ vm_id }, value));
    set(usage.cpuMicroseconds, (value) => series.cpu.inc({ vm_id }, value / 1e6));
    set(usage.throttledMicroseconds, (value) => series.throttled.inc({ vm_id }, value / 1e6));
    set(usage.oomKills, (value) => series.oomKills.inc({ vm_id }, value));
    set(usage.readBytes, (value) => series.hostIo.inc({ vm_id, direction: "read" }, value));
    set(usage.writtenBytes, (value) => series.hostIo.inc({ vm_id, direction: "write" }, value));
    if (devices !== undefined) this.#writeDevices(vm_id, devices);
    for (const [stream, bytes] of Object.entries(droppedBytes ?? {})) series.dropped.inc({ vm_id, stream }, bytes);
  }

  #writeDevices(vm_id: string, devices: NonNullable<VmMeasure["devices"]>): void {
    const { blockBytes, blockOperations, networkBytes, networkPackets, seccompFaults } = this.#series;
    blockBytes.inc({ vm_id, direction: "read" }, devices.blockReadBytes);
    blockBytes.inc({ vm_id, direction: "write" }, devices.blockWrittenBytes);
    blockOperations.inc({ vm_id, direction: "read" }, devices.blockReads);
    blockOperations.inc({ vm_id, direction: "write" }, devices.blockWrites);
    networkBytes.inc({ vm_id, direction: "receive" }, devices.networkReceivedBytes);
    networkBytes.inc({ vm_id, direction: "transmit" }, devices.networkSentBytes);
    networkPackets.inc({ vm_id, direction: "receive" }, devices.networkReceivedPackets);
    networkPackets.inc({ vm_id, direction: "transmit" }, devices.networkSentPackets);
    seccompFaults.inc({ vm_id }, devices.seccompFaults);
  }
}

function set(value: number | undefined, write: (value: number) => void): void {
  if (value !== undefined) write(value);
}

function createSeries(registry: Registry) {
  const { counter, gauge } = makers(registry);
  const byVm = ["vm_id"] as ["vm_id"];
  const byDirection = ["vm_id", "direction"] as ["vm_id", "direction"];
  return {
    omitted: gauge(
      "warder_vm_series_omitted",
      "VMs that run, or are to, and have no series of their own: too many, or not measurable.",
      [],
    ),
    runs: counter("warder_vm_runs_total", "Starts of the VM, from its making on.", byVm),
    started: gauge("warder_vm_start_time_seconds", "When this run of the VM began, in seconds since 1970.", byVm),
    healthy: gauge("warder_vm_healthy", "1 where the VM counts as healthy, 0 where it does not.", byVm),
    gaps: gauge("warder_vm_isolation_gaps", "Controls of the VM that are not as asked, or could not be read.", byVm),
    memory: gauge("warder_vm_memory_bytes", "Memory that the VM's cgroup is charged with.", byVm),
    memoryPeak: gauge("warder_vm_memory_peak_bytes", "Highest memory use of the VM's cgroup so far.", byVm),
    memoryLimit: gauge("warder_vm_memory_limit_bytes", "Memory limit of the VM's cgroup.", byVm),
    threads: gauge("warder_vm_threads", "Processes and threads in the VM's cgroup.", byVm),
    cpu: counter("warder_vm_cpu_seconds_total", "CPU time that the VM's cgroup has used.", byVm),
    throttled: counter(
      "warder_vm_cpu_throttled_seconds_total",
      "Time that the VM's threads waited because of its CPU limit.",
      byVm,
    ),
    oomKills: counter(
      "warder_vm_oom_kills_total",
      "Processes that the kernel killed because the VM's memory limit was met.",
      byVm,
    ),
    hostIo: counter(
      "warder_vm_io_bytes_total",
      "Bytes that the VM's cgroup has moved to and from block devices of the host.",
      byDirection,
    ),
    blockBytes: counter(
      "warder_vm_block_bytes_total",
      "Bytes that the guest has moved to and from its disks, as its Firecracker says.",
      byDirection,
    ),
    blockOperations: counter(
      "warder_vm_block_operations_total",
      "Reads and writes of the guest's disks, as its Firecracker says.",
      byDirection,
    ),
    networkBytes: counter(
      "warder_vm_network_bytes_total",
      "Bytes that the guest has received and transmitted, as its Firecracker says.",
      byDirection,
    ),
    networkPackets: counter(
      "warder_vm_network_packets_total",
      "Packets that the guest has received and transmitted, as its Firecracker says.",
      byDirection,
    ),
    seccompFaults: counter(
      "warder_vm_seccomp_faults_total",
      "System calls that the VM's filter has refused, as its Firecracker says.",
      byVm,
    ),
    dropped: counter(
      "warder_vm_output_dropped_bytes_total",
      "Bytes of the VM's output that are not kept any more, by stream.",
      ["vm_id", "stream"],
    ),
  };
}
