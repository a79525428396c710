import type { Duplex } from "node:stream";
import type { Collection, CollectOptions } from "../../lifecycle/collect.ts";
import type { OutputKind } from "../../lifecycle/follow.ts";
import type { SharedNetwork } from "../../lifecycle/network-admin.ts";
import type { LimitedDevice } from "../../lifecycle/rate-limits.ts";
import type { OutputRange } from "../../lifecycle/read-output.ts";
import type { VmUsage } from "../../lifecycle/usage.ts";
import type { Cancellable, PauseOptions, Retryable, StopOptions } from "../../lifecycle/vm.ts";
import type { WatchOptions } from "../../lifecycle/warder.ts";
import type { VmChange } from "../../vm/change.ts";
import type { VmExit } from "../../vm/exit.ts";
import type { JsonObject } from "../../vm/metadata.ts";
import type { RateLimitInput } from "../../vm/rate-limit.ts";
import type { ShutdownOutcome } from "../../vm/shutdown.ts";
import type { VmSpecInput } from "../../vm/spec.ts";
import type { VmView } from "../../vm/view.ts";

/** What became of a VM that was ended. */
export interface Ended extends ShutdownOutcome {
  readonly state: VmView["state"];
  readonly exit?: VmExit;
}

/** What was dropped of a VM's packets for one reason. */
export interface Drops {
  readonly reason: string;
  readonly packets: number;
  readonly bytes: number;
}

/** How a connection to or from a guest is made. */
export interface VsockWishes {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  readonly halfClose: "hold" | "pass";
}

/** How the start of a VM is followed that is shown in the foreground. */
export interface ForegroundOptions extends Retryable {
  readonly signal: AbortSignal;
  /** Told of each step of the start that is done, where that is known. */
  readonly onStep: (step: string) => void;
  /** Gets what the guest prints. */
  readonly onConsole: (chunk: Uint8Array) => void;
}

/** One VM, as far as commands ask anything of it. Every call throws `vm-not-found` where it is not there. */
export interface ManagedVm {
  readonly id: string;
  inspect(): Promise<VmView>;
  /** In the background; settles when it runs, proven. */
  start(options: Cancellable & Retryable): Promise<VmView>;
  stop(options: StopOptions): Promise<Ended>;
  kill(options: Cancellable): Promise<Ended>;
  /** Its next run goes on in the background. */
  reboot(options: StopOptions): Promise<void>;
  pause(options: PauseOptions): Promise<void>;
  resume(options: Cancellable): Promise<void>;
  remove(options?: Cancellable & { readonly force?: boolean }): Promise<void>;
  /** Settles when it has ended, and all of its console was told of. */
  wait(): Promise<VmExit>;
  usage(): Promise<VmUsage>;
  output(kind: OutputKind, range: OutputRange): AsyncIterable<Uint8Array>;
  setRateLimit(device: LimitedDevice, limit: RateLimitInput | null, options: Cancellable): Promise<void>;
  getMetadata(): Promise<JsonObject>;
  changeMetadata(how: "set" | "patch", data: unknown, options: Cancellable): Promise<void>;
  drops(signal: AbortSignal): Promise<readonly Drops[]>;
  /** Connects to a port of the guest's. */
  connect(port: number, wishes: VsockWishes): Promise<Duplex>;
  /** Waits for the guest to connect to a port of the host's. */
  accept(port: number, wishes: VsockWishes): Promise<Duplex>;
}

/** The networks that VMs share. */
export interface Networks {
  list(): Promise<readonly SharedNetwork[]>;
  get(name: string): Promise<SharedNetwork>;
  remove(name: string, signal: AbortSignal): Promise<void>;
}

/**
 * A host of VMs, as far as commands ask anything of it: opened in this process, or a daemon's. They are written against
 * this alone, so that what they do and say is the same by either way.
 */
export interface Manager extends AsyncDisposable {
  /** All VMs, oldest first. `all`: those that have ended too. Without what is kept of their output. */
  list(options: { readonly all: boolean }): Promise<readonly VmView[]>;
  /** @throws {@link WarderError} `vm-not-found`, `invalid-argument`; at the latest with the first call. */
  get(id: string): ManagedVm;
  /** Whether a VM of this id was there and was removed. */
  hasRemoved(id: string): boolean;
  create(spec: VmSpecInput, options: Cancellable & Retryable): Promise<ManagedVm>;
  run(spec: VmSpecInput, options: ForegroundOptions): Promise<ManagedVm>;
  watch(options: WatchOptions): AsyncIterable<VmChange>;
  collectGarbage(options: CollectOptions): Promise<Collection>;
  readonly networks: Networks;
}
