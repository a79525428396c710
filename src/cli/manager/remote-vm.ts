import type { Duplex } from "node:stream";
import type { RemoteOutcome, RemoteVm } from "../../client/vm.ts";
import type { OutputKind } from "../../lifecycle/follow.ts";
import type { LimitedDevice } from "../../lifecycle/rate-limits.ts";
import type { OutputRange } from "../../lifecycle/read-output.ts";
import type { Cancellable, PauseOptions, Retryable, StopOptions } from "../../lifecycle/vm.ts";
import type { VmExit } from "../../vm/exit.ts";
import type { RateLimitInput } from "../../vm/rate-limit.ts";
import type { VmView } from "../../vm/view.ts";
import type { Ended, ManagedVm, VsockWishes } from "./manager.ts";

/** One VM of a daemon's. */
export class RemoteManagedVm implements ManagedVm {
  readonly id: string;
  readonly #vm: RemoteVm;
  readonly #shown: Promise<void>;

  /** @param shown - Settles when all of its console was told of. */
  constructor(vm: RemoteVm, shown: Promise<void> = Promise.resolve()) {
    this.id = vm.id;
    this.#vm = vm;
    this.#shown = shown;
    // Told of by whoever waits for the VM.
    shown.catch(() => undefined);
  }

  inspect(): Promise<VmView> {
    return this.#vm.inspect();
  }

  async start(options: Cancellable & Retryable): Promise<VmView> {
    await this.#vm.start(options);
    return this.#vm.inspect();
  }

  async stop(options: StopOptions): Promise<Ended> {
    return this.#ended(await this.#vm.stop(options));
  }

  async kill(options: Cancellable): Promise<Ended> {
    return this.#ended(await this.#vm.kill(options));
  }

  async reboot(options: StopOptions): Promise<void> {
    await this.#vm.reboot(options);
  }

  async pause(options: PauseOptions): Promise<void> {
    await this.#vm.pause(options);
  }

  async resume(options: Cancellable): Promise<void> {
    await this.#vm.resume(options);
  }

  remove(options: Cancellable & { readonly force?: boolean } = {}): Promise<void> {
    return this.#vm.remove(options);
  }

  async wait(): Promise<VmExit> {
    const exit = await this.#vm.wait();
    await this.#shown;
    return exit;
  }

  usage() {
    return this.#vm.usage();
  }

  output(kind: OutputKind, { tailLines, ...range }: OutputRange): AsyncIterable<Uint8Array> {
    return this.#vm.output(kind, { ...range, ...(tailLines === undefined ? {} : { tailLines }) });
  }

  setRateLimit(device: LimitedDevice, limit: RateLimitInput | null, options: Cancellable): Promise<void> {
    return this.#vm.setRateLimit(device, limit, options);
  }

  getMetadata() {
    return this.#vm.metadata.get();
  }

  changeMetadata(how: "set" | "patch", data: unknown, options: Cancellable): Promise<void> {
    return this.#vm.metadata[how](data, options);
  }

  drops(signal: AbortSignal) {
    return this.#vm.drops({ signal });
  }

  connect(port: number, wishes: VsockWishes): Promise<Duplex> {
    return this.#vm.vsock.connect(port, wishes);
  }

  accept(port: number, wishes: VsockWishes): Promise<Duplex> {
    return this.#vm.vsock.accept(port, wishes);
  }

  /** One that has ended may have been forgotten by now. */
  async #ended(outcome: RemoteOutcome): Promise<Ended> {
    const { exit } = outcome;
    if (exit === undefined) return { ...outcome, state: (await this.#vm.inspect()).state };
    return { ...outcome, state: exit.cause === "start-failed" ? "failed" : "exited" };
  }
}
