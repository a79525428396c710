import type { DropCount } from "../lifecycle/network-admin.ts";
import type { LimitedDevice } from "../lifecycle/rate-limits.ts";
import type { VmUsage } from "../lifecycle/usage.ts";
import type { VmVsock } from "../lifecycle/vm-vsock.ts";
import type { VmChange } from "../vm/change.ts";
import type { VmExit } from "../vm/exit.ts";
import type { VmId } from "../vm/id.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import type { JsonObject } from "../vm/metadata.ts";
import type { RateLimitInput } from "../vm/rate-limit.ts";
import type { VmRecord } from "../vm/record.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmSpecInput } from "../vm/spec.ts";
import type { VmView } from "../vm/view.ts";

/** Gives an operation up. */
export interface Cancellable {
  readonly signal?: AbortSignal;
}

/** One VM, as far as the services ask anything of it. The core's `Vm` is one. */
export interface VmPort {
  readonly record: VmRecord;
  /** What is told of it, with what is kept of its output. */
  inspect(): VmView;
  start(options?: MakeOptions): Promise<unknown>;
  stop(options?: Cancellable & { readonly ladder?: ShutdownLadder }): Promise<ShutdownOutcome>;
  kill(options?: Cancellable): Promise<ShutdownOutcome>;
  pause(options?: Cancellable & { readonly force?: boolean }): Promise<unknown>;
  resume(options?: Cancellable): Promise<unknown>;
  reboot(options?: Cancellable & { readonly ladder?: ShutdownLadder }): Promise<unknown>;
  remove(options?: Cancellable & { readonly force?: boolean }): Promise<unknown>;
  wait(options?: Cancellable): Promise<VmExit>;
  prove(options?: Cancellable): Promise<IsolationReport>;
  setRateLimit(device: LimitedDevice, limit: RateLimitInput | null, options?: Cancellable): Promise<void>;
  readonly metadata: MetadataPort;
  readonly vsock: VsockPort;
}

/** What a guest is served of itself. */
export interface MetadataPort {
  get(): JsonObject;
  set(data: unknown, options?: Cancellable): Promise<void>;
  patch(changes: unknown, options?: Cancellable): Promise<void>;
}

/** Streams to and from programs of a guest's. */
export type VsockPort = Pick<VmVsock, "connect" | "listen">;

/** How a VM is made. */
export interface MakeOptions extends Cancellable {
  readonly idempotencyKey?: string;
}

/** Which of a VM's outputs. */
export type OutputKind = "console" | "log";

/** Which changes to tell. */
export interface WatchOptions {
  /** Those after this sequence. Absent: those from now on. */
  readonly since?: number;
  readonly id?: string;
  readonly signal: AbortSignal;
}

/** Which part of a VM's output. */
export interface OutputOptions {
  /** Go on until its end. */
  readonly follow: boolean;
  /** Begin with the last so many lines of what is kept. Absent: with all of it. */
  readonly tailLines?: number;
  readonly signal: AbortSignal;
}

/** What a VM uses, as the kernel and Firecracker count it. What is absent is not counted. */
export interface VmMeasures {
  /** In percent of one core. */
  readonly cpuPercent?: number;
  readonly memoryBytes?: number;
  /** As the guest sees it. */
  readonly network?: {
    readonly receivedBytes: number;
    readonly sentBytes: number;
    readonly receivedPackets: number;
    readonly sentPackets: number;
  };
  readonly storage?: {
    readonly readBytes: number;
    readonly writtenBytes: number;
    readonly reads: number;
    readonly writes: number;
  };
  /** Since it began to run. */
  readonly uptimeMs?: number;
}

/** The host of VMs, as far as the services ask anything of it. */
export interface HostPort {
  /** Writes a VM down and reserves what it needs; nothing of it runs. */
  create(input: VmSpecInput, options?: MakeOptions): Promise<VmPort>;
  /** Makes a VM and starts it; where that fails nothing is left of it. */
  run(input: VmSpecInput, options?: MakeOptions): Promise<VmPort>;
  /** @throws {@link WarderError} `vm-not-found`, `invalid-argument`. */
  get(id: string): VmPort;
  /** Whether a VM of this id was there and was removed, as far as that is known and the caller's to know. */
  hasRemoved(id: string): boolean;
  /** All VMs, those that have ended too, oldest first. */
  records(): readonly VmRecord[];
  watch(options: WatchOptions): AsyncIterable<VmChange>;
  /** The sequence of the newest change. */
  readonly cursor: number;
  usage(record: VmRecord): VmUsage;
  /** `undefined` where nothing of the VM runs. */
  measure(record: VmRecord): VmMeasures | undefined;
  /** What is kept of a VM's output and, where it is followed, what comes until its end. */
  output(id: string, kind: OutputKind, options: OutputOptions): AsyncIterable<Uint8Array>;
  /** What the rules of a VM's network have dropped. */
  drops(id: VmId, signal: AbortSignal): Promise<readonly DropCount[]>;
}
