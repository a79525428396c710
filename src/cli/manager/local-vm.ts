import type { Duplex } from "node:stream";
import type { ConfigOverrides } from "../../config/config.ts";
import { acceptVsock } from "../../lifecycle/accept-vsock.ts";
import type { OutputKind } from "../../lifecycle/follow.ts";
import { countDrops } from "../../lifecycle/network-admin.ts";
import type { LimitedDevice } from "../../lifecycle/rate-limits.ts";
import { type OutputRange, readOutput } from "../../lifecycle/read-output.ts";
import { usageOf } from "../../lifecycle/usage.ts";
import type { Cancellable, PauseOptions, Retryable, StopOptions, Vm } from "../../lifecycle/vm.ts";
import type { Warder } from "../../lifecycle/warder.ts";
import type { RateLimitInput } from "../../vm/rate-limit.ts";
import type { ShutdownOutcome } from "../../vm/shutdown.ts";
import { isLive } from "../../vm/state.ts";
import type { VmView } from "../../vm/view.ts";
import { startMonitor, toTask } from "../start-monitor.ts";
import type { Terminal } from "../terminal.ts";
import type { Ended, ManagedVm, VsockWishes } from "./manager.ts";

/** What monitors need that look after VMs when this process has ended. */
export interface MonitorContext {
  readonly overrides: ConfigOverrides;
  readonly terminal: Terminal;
}

/** One VM of the host in this process. What is to outlive the command is given to a monitor. */
export class LocalVm implements ManagedVm {
  readonly id: string;
  readonly #warder: Warder;
  readonly #vm: Vm;
  readonly #context: MonitorContext;

  constructor(warder: Warder, vm: Vm, context: MonitorContext) {
    this.id = vm.id;
    this.#warder = warder;
    this.#vm = vm;
    this.#context = context;
  }

  async inspect(): Promise<VmView> {
    return this.#vm.inspect();
  }

  async start(options: Cancellable & Retryable): Promise<VmView> {
    const { signal = new AbortController().signal, ...key } = options;
    // What is there already, or is refused, needs nobody to look after it.
    if (isLive(this.#vm.state)) return this.#vm.start(options).then(() => this.#vm.inspect());
    const { overrides, terminal } = this.#context;
    return startMonitor(toTask({ kind: "start", id: this.id, ...key }, overrides), terminal, signal);
  }

  async stop(options: StopOptions): Promise<Ended> {
    return this.#ended(await this.#vm.stop(options));
  }

  async kill(options: Cancellable): Promise<Ended> {
    return this.#ended(await this.#vm.kill(options));
  }

  async reboot(options: StopOptions): Promise<void> {
    await this.#ensureMonitor(options.signal ?? new AbortController().signal);
    await this.#vm.reboot(options);
  }

  pause(options: PauseOptions): Promise<void> {
    return this.#vm.pause(options);
  }

  resume(options: Cancellable): Promise<void> {
    return this.#vm.resume(options);
  }

  remove(options: Cancellable & { readonly force?: boolean } = {}): Promise<void> {
    return this.#vm.remove(options);
  }

  wait() {
    return this.#vm.wait();
  }

  async usage() {
    return usageOf(this.#warder.machinery.host, this.#vm.record);
  }

  async *output(kind: OutputKind, range: OutputRange): AsyncGenerator<Uint8Array, void> {
    // Nobody would read the output of a VM whose manager died; as long as it is followed, this process is its manager.
    if (range.follow && this.#vm.record.exit === undefined) this.#vm.lookAfter();
    yield* readOutput(this.#warder.machinery, this.#vm.id, kind, range);
  }

  setRateLimit(device: LimitedDevice, limit: RateLimitInput | null, options: Cancellable): Promise<void> {
    return this.#vm.setRateLimit(device, limit, options);
  }

  async getMetadata() {
    return this.#vm.metadata.get();
  }

  changeMetadata(how: "set" | "patch", data: unknown, options: Cancellable): Promise<void> {
    return this.#vm.metadata[how](data, options);
  }

  drops(signal: AbortSignal) {
    return countDrops(this.#warder.machinery, this.#vm.id, signal);
  }

  connect(port: number, wishes: VsockWishes): Promise<Duplex> {
    return this.#vm.vsock.connect(port, wishes);
  }

  accept(port: number, wishes: VsockWishes): Promise<Duplex> {
    return acceptVsock(this.#vm.vsock, this.#vm.id, port, wishes);
  }

  #ended(outcome: ShutdownOutcome): Ended {
    const { state, exit } = this.#vm.record;
    return { ...outcome, state, ...(exit === undefined ? {} : { exit }) };
  }

  /** The next run outlives this command: somebody else is to look after it. */
  async #ensureMonitor(signal: AbortSignal): Promise<void> {
    const { isLookedAfter, record, state } = this.#vm;
    if (isLookedAfter || record.exit !== undefined || state === "created") return;
    const { overrides, terminal } = this.#context;
    await startMonitor(toTask({ kind: "look-after", id: this.id }, overrides), terminal, signal);
  }
}
