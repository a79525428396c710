import type { Host } from "../host/host.ts";
import type { Machinery } from "../lifecycle/machinery.ts";
import { countDrops, type DropCount } from "../lifecycle/network-admin.ts";
import { readOutput } from "../lifecycle/read-output.ts";
import { usageOf, type VmUsage } from "../lifecycle/usage.ts";
import type { Warder } from "../lifecycle/warder.ts";
import type { VmChange } from "../vm/change.ts";
import { toVmId, type VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmSpecInput } from "../vm/spec.ts";
import { isLive } from "../vm/state.ts";
import { CpuMeter } from "./cpu-meter.ts";
import type {
  HostPort,
  MakeOptions,
  OutputKind,
  OutputOptions,
  VmMeasures,
  VmPort,
  WatchOptions,
} from "./host-port.ts";

/** The core as the services see it. */
export class CoreHost implements HostPort {
  readonly #warder: Warder;
  readonly #cpu: CpuMeter;

  constructor(warder: Warder) {
    this.#warder = warder;
    this.#cpu = new CpuMeter(() => warder.machinery.host.clock.now());
  }

  create(input: VmSpecInput, options?: MakeOptions): Promise<VmPort> {
    return this.#warder.create(input, options);
  }

  run(input: VmSpecInput, options?: MakeOptions): Promise<VmPort> {
    return this.#warder.run(input, options);
  }

  get(id: string): VmPort {
    return this.#warder.get(id);
  }

  hasRemoved(id: string): boolean {
    return this.#warder.hasRemoved(id);
  }

  records(): readonly VmRecord[] {
    return this.#machinery.store.list();
  }

  watch(options: WatchOptions): AsyncIterable<VmChange> {
    return this.#warder.watch(options);
  }

  get cursor(): number {
    return this.#warder.cursor;
  }

  usage(record: VmRecord): VmUsage {
    return usageOf(this.#host, record);
  }

  measure(record: VmRecord): VmMeasures | undefined {
    const { id, state, startedAt, spec } = record;
    if (!isLive(state)) return undefined;
    const { cpuMicroseconds, memoryBytes } = this.usage(record);
    const cpuPercent = this.#cpu.percentOf(record, cpuMicroseconds);
    const devices = this.#machinery.meters.devices(id);
    return {
      ...(cpuPercent === undefined ? {} : { cpuPercent }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(startedAt === undefined ? {} : { uptimeMs: Math.max(0, this.#host.clock.now() - startedAt) }),
      ...(devices === undefined || (spec.networks ?? []).length === 0
        ? {}
        : {
            network: {
              receivedBytes: devices.networkReceivedBytes,
              sentBytes: devices.networkSentBytes,
              receivedPackets: devices.networkReceivedPackets,
              sentPackets: devices.networkSentPackets,
            },
          }),
      ...(devices === undefined || spec.drives.length === 0
        ? {}
        : {
            storage: {
              readBytes: devices.blockReadBytes,
              writtenBytes: devices.blockWrittenBytes,
              reads: devices.blockReads,
              writes: devices.blockWrites,
            },
          }),
    };
  }

  output(id: string, kind: OutputKind, options: OutputOptions): AsyncIterable<Uint8Array> {
    return readOutput(this.#machinery, toVmId(id), kind, options);
  }

  drops(id: VmId, signal: AbortSignal): Promise<readonly DropCount[]> {
    return countDrops(this.#machinery, id, signal);
  }

  get #machinery(): Machinery {
    return this.#warder.machinery;
  }

  get #host(): Host {
    return this.#machinery.host;
  }
}
