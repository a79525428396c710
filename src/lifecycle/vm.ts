import { notFound } from "../store/store.ts";
import type { VmExit } from "../vm/exit.ts";
import type { VmId } from "../vm/id.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import type { RateLimitInput } from "../vm/rate-limit.ts";
import type { VmRecord } from "../vm/record.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmState } from "../vm/state.ts";
import { toView, type VmView } from "../vm/view.ts";
import type { Drivers } from "./drivers.ts";
import type { Machinery } from "./machinery.ts";
import { outputPaths, viewOutput } from "./output-files.ts";
import { hasLivingOwner } from "./owner.ts";
import { gapFound, proveOnceMore } from "./prove-again.ts";
import { describeDevice, type LimitedDevice, parseRateLimit } from "./rate-limits.ts";
import { setRateLimit } from "./set-rate-limit.ts";
import type { StartOptions } from "./start.ts";
import { VmMetadata } from "./vm-metadata.ts";
import { VmVsock } from "./vm-vsock.ts";
import { refuseVsockLoss } from "./vsock-loss.ts";

/** Gives an operation up. */
export interface Cancellable {
  readonly signal?: AbortSignal;
}

/** How a call is known for the retry of another. */
export interface Retryable {
  /**
   * Chosen by the caller, new for every new request. A call with the key of an earlier one comes to what that one came
   * to: nothing is done twice.
   */
  readonly idempotencyKey?: string;
}

/** How a guest's time is stopped. */
export interface PauseOptions extends Cancellable {
  /** Even where this release of Firecracker loses the VM's vsock by it. */
  readonly force?: boolean;
}

/** How a run of a VM is ended. */
export interface StopOptions extends Cancellable {
  /** What is tried, and for how long each. Default: as the VM was made. */
  readonly ladder?: ShutdownLadder;
}

/**
 * One VM, in this process's hands or another's. Calls on a VM are done one at a time, in the order in which they come;
 * but a stop or kill gives up a start that is under way, and a kill cuts a stop short. All are idempotent: stopping a
 * stopped VM, starting or resuming a running one and removing a removed one succeed.
 *
 * What each state allows, and where it leads, is drawn in `docs/states.md`; a call that the state does not allow is
 * refused with `wrong-state`. Every call throws `vm-busy` where too many wait for the VM already.
 */
export class Vm implements AsyncDisposable {
  readonly id: VmId;
  readonly #machinery: Machinery;
  readonly #drivers: Drivers;

  /** @internal Made by `Warder`. */
  constructor(machinery: Machinery, drivers: Drivers, id: VmId) {
    this.#machinery = machinery;
    this.#drivers = drivers;
    this.id = id;
  }

  /** What is recorded of the VM now; of a VM that was removed, nothing is. */
  get record(): VmRecord {
    const record = this.#machinery.store.get(this.id);
    if (record !== undefined) return record;
    throw notFound(this.id);
  }

  get state(): VmState {
    return this.record.state;
  }

  /** Whether a process that lives looks after the VM, or does something with it at this moment. */
  get isLookedAfter(): boolean {
    return hasLivingOwner(this.#machinery, this.record);
  }

  /** What `warder inspect` shows. */
  inspect(): VmView {
    return toView(this.record, viewOutput(this.#machinery, this.id));
  }

  /** What the guest is served of itself. */
  get metadata(): VmMetadata {
    return new VmMetadata(this.#machinery, this.id, this.#driver);
  }

  /** Streams to and from programs of the guest. */
  get vsock(): VmVsock {
    return new VmVsock(this.#machinery, this.id, () => this.lookAfter());
  }

  /** The newest output of the guest's serial port, as far as it is kept. Untrusted. */
  readConsole(): string {
    return this.#readOutput("console");
  }

  /** The newest lines of Firecracker's log. Partly chosen by the guest. */
  readLog(): string {
    return this.#readOutput("log");
  }

  /**
   * Starts a VM that was created, or that has ended: as the same VM, with its id, its output and the next incarnation
   * number. Settles when it runs, proven. One that is between two runs of its restart policy is started at once.
   *
   * @throws {@link WarderError} of the start. The VM is `failed` then, with that as its exit's evidence, unless it was
   * refused before anything was made.
   */
  start(options: StartOptions & Retryable = {}): Promise<void> {
    return this.#driver.start(options);
  }

  /**
   * Ends the VM in order: Ctrl-Alt-Del, SIGTERM, SIGKILL, or the ladder given. It stays ended, whatever its restart policy
   * is. Settles when everything of it is gone from the host.
   */
  stop(options: StopOptions = {}): Promise<ShutdownOutcome> {
    return this.#driver.stop(options);
  }

  /** Ends the VM at once. */
  kill(options: Cancellable = {}): Promise<ShutdownOutcome> {
    return this.#driver.kill(options);
  }

  /**
   * Ends the VM in order and starts it again, as the same VM with the next incarnation number. Where this process dies
   * meanwhile, the next manager goes on with it.
   */
  reboot(options: StopOptions & StartOptions & Retryable = {}): Promise<void> {
    return this.#driver.reboot(options);
  }

  /**
   * Stops the guest's time.
   *
   * @throws {@link WarderError} `feature-unsupported` where the VM has a vsock, and its Firecracker is of a release (1.16)
   * that loses it by a pause and resume.
   */
  async pause({ force = false, ...options }: PauseOptions = {}): Promise<void> {
    if (!force) refuseVsockLoss(this.record);
    return this.#driver.setPower("paused", options);
  }

  /** Lets the guest's time go on. */
  resume(options: Cancellable = {}): Promise<void> {
    return this.#driver.setPower("running", options);
  }

  /**
   * Limits a disk or an interface, in place of any limit it had; `null` takes the limit away. A VM that runs has it at
   * once, with full buckets; it stays in its record, and holds for its next runs.
   *
   * @example
   * await vm.setRateLimit({ drive: "rootfs" }, { bandwidth: { bytesPerSecond: 10_000_000 } });
   *
   * @throws {@link WarderError} `invalid-argument` where the limit is wrong, or the VM has no such device; `wrong-state`
   * while it starts or stops; `rate-limit-lost`.
   */
  setRateLimit(device: LimitedDevice, limit: RateLimitInput | null, options: Cancellable = {}): Promise<void> {
    return this.#driver.adjust("limit", options, async (record, signal) => {
      const parsed = parseRateLimit(`limiting ${describeDevice(device)} of ${this.id}`, limit);
      await setRateLimit(this.#machinery, record, device, parsed, signal);
    });
  }

  /**
   * Settles when the VM has ended and everything of it is gone. One that its restart policy starts again has not ended.
   *
   * @throws {@link WarderError} `cleanup-failed` where something could not be removed; `aborted`.
   */
  wait(options: Cancellable = {}): Promise<VmExit> {
    return this.#driver.wait(options);
  }

  /**
   * Takes over a VM that nobody looks after: its output is read on, its end seen, its restart policy carried out. False
   * where somebody else does that.
   */
  lookAfter(): boolean {
    return this.#driver.lookAfter();
  }

  /**
   * Reads the VM's isolation back from the kernel once more. A VM without a kernel is proven in full by this, once its
   * guest was started through the API.
   *
   * @throws {@link WarderError} `wrong-state` where the VM has ended, or was started by another process; `isolation-gap`
   * where the policy is strict: the VM is killed then.
   */
  prove(options: Cancellable = {}): Promise<IsolationReport> {
    const isStrict = this.record.spec.policy === "strict" || this.#machinery.settings.production;
    return this.#driver.prove(
      options,
      (record, run, signal) => proveOnceMore(this.#machinery, record, run?.proof, signal),
      (report) => (report.level === "degraded" && isStrict ? gapFound(this.id, report) : undefined),
    );
  }

  /** Forgets a VM that has ended, with its output. `force` kills it first. */
  remove(options: Cancellable & { readonly force?: boolean } = {}): Promise<void> {
    return this.#driver.remove(options);
  }

  /** Kills the VM where it still runs, and forgets it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove({ force: true });
  }

  get #driver() {
    return this.#drivers.of(this.id);
  }

  #readOutput(kind: "console" | "log"): string {
    const { host, settings } = this.#machinery;
    const path = outputPaths(settings, this.id)[kind];
    const limit = kind === "console" ? settings.consoleLimitBytes : settings.logLimitBytes;
    return [`${path}.1`, path]
      .filter((each) => host.files.inspect(each) !== undefined)
      .map((each) => host.files.readText(each, limit))
      .join("");
  }
}
