import type { VmExit } from "../vm/exit.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import { killLadder, type ShutdownLadder, type ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmView } from "../vm/view.ts";
import type { CallOptions, RunningVm } from "./running-vm.ts";

/** A Firecracker process that the small API has started. Its end, however it comes, removes everything of it. */
export abstract class SandboxedProcess implements AsyncDisposable {
  readonly #vm: RunningVm;

  /** @internal Made by the functions that start one. */
  constructor(vm: RunningVm) {
    this.#vm = vm;
  }

  /** Name of the VM and of its jail. */
  get id(): string {
    return this.#vm.started.id;
  }

  /** Process id of Firecracker, which the jailer became. */
  get pid(): number {
    return this.#vm.pid;
  }

  /** How isolated the process was found to be: each control, what was wanted and what the kernel said. */
  get isolation(): IsolationReport {
    const { isolation } = this.#vm.inspect();
    if (isolation === null) throw new TypeError(`${this.id} was started without a proof`);
    return isolation;
  }

  /** Everything that is known of it; its exit included, once it has ended. */
  inspect(): VmView {
    return this.#vm.inspect();
  }

  /** The newest output of the guest's serial port, as far as it is kept. Untrusted. */
  readConsole(): string {
    return this.#vm.readConsole();
  }

  /** The newest lines of Firecracker's log, as far as they are kept. Partly chosen by the guest. */
  readLog(): string {
    return this.#vm.readLog();
  }

  /** Whether this very process still runs. Another that has its pid by now does not count. */
  async isRunning(): Promise<boolean> {
    return this.#vm.isRunning();
  }

  /**
   * Reads the isolation back from the kernel once more. With a guest running that includes what exists only then, such
   * as the seccomp filters on each thread: where the guest was started through the API, this is what makes a `partial`
   * proof a whole one.
   *
   * @throws {@link WarderError} `isolation-gap` where the policy is strict: the process is killed then.
   * @example
   * const { level, gaps } = await process.prove();
   * if (level !== "proven") console.warn(gaps);
   */
  prove(options: CallOptions = {}): Promise<IsolationReport> {
    return this.#vm.prove(options);
  }

  /**
   * Settles with how and why it ended, once it has and everything of it is gone.
   *
   * @throws {@link WarderError} `aborted`, `deadline-exceeded`; `cleanup-failed`.
   * @example
   * const { cause, evidence } = await process.wait({ timeoutMs: 60_000 });
   */
  wait(options: CallOptions = {}): Promise<VmExit> {
    return this.#vm.wait(options);
  }

  /**
   * Ends it by a ladder of ever harder means, and waits until everything of it is gone. Fine if it has ended already.
   *
   * @returns What each rung did.
   * @throws {@link WarderError} `process-stuck` where the last rung did not help either.
   */
  stop(ladder: ShutdownLadder, { signal }: Pick<CallOptions, "signal"> = {}): Promise<ShutdownOutcome> {
    return this.#vm.stop(ladder, signal);
  }

  /** Kills it where it still runs, and waits until everything of it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(killLadder);
  }

  /** @internal As it was when it had started. */
  protected get started(): VmView {
    return this.#vm.started;
  }
}
