import type { Cancellable } from "../lifecycle/vm.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import type { VmExit } from "../vm/exit.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import type { ProcessIdentity } from "../vm/process.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmView } from "../vm/view.ts";
import type { HostLease, VmOnHost } from "./hosts.ts";

/** How an operation is given up. */
export interface CallOptions extends Cancellable {
  /** Most milliseconds it may take. */
  readonly timeoutMs?: number;
}

/** What is left of a VM that has ended. */
interface Remains {
  readonly view: VmView;
  readonly console: string;
  readonly log: string;
}

const NOTHING_DONE: ShutdownOutcome = Object.freeze({ endedBy: undefined, rungs: [] });

/**
 * A VM together with the host it runs on. When it has ended, by whatever cause, its record goes and the host is given
 * back: nothing of it is left but what this object holds in memory.
 */
export class RunningVm {
  readonly pid: number;
  /** As it was when it had started. */
  readonly started: VmView;
  readonly #vm: VmOnHost;
  readonly #lease: HostLease;
  readonly #process: ProcessIdentity;
  readonly #ended: Promise<VmExit>;
  #remains: Remains | undefined;

  constructor(lease: HostLease, vm: VmOnHost) {
    const { process } = vm.record;
    if (process === undefined) throw new TypeError(`${vm.id} was started and has no process`);
    this.pid = process.pid;
    this.started = vm.inspect();
    this.#vm = vm;
    this.#lease = lease;
    this.#process = process;
    this.#ended = this.#seeEnd();
    // Whoever waits for it gets the failure; nobody has to.
    this.#ended.catch(() => undefined);
  }

  isRunning(): boolean {
    return this.#remains === undefined && this.#lease.host.isAlive(this.#process);
  }

  /** As it is now, or was when it had ended. */
  inspect(): VmView {
    return this.#remains?.view ?? this.#vm.inspect();
  }

  readConsole(): string {
    return this.#remains?.console ?? this.#vm.readConsole();
  }

  readLog(): string {
    return this.#remains?.log ?? this.#vm.readLog();
  }

  async prove({ signal, timeoutMs }: CallOptions): Promise<IsolationReport> {
    if (this.#remains === undefined) return this.#vm.prove(cancellable(signal, timeoutMs));
    throw new WarderError("wrong-state", { doing: `proving the isolation of ${this.#vm.id}`, why: "it has ended" });
  }

  /** Settles when the VM has ended and everything of it is gone. */
  async wait({ signal, timeoutMs }: CallOptions): Promise<VmExit> {
    const { signal: within } = cancellable(signal, timeoutMs);
    const givenUp = Promise.withResolvers<never>();
    const onAbort = () => givenUp.reject(WarderError.from(within?.reason, "aborted", `waiting for ${this.#vm.id}`));
    if (within?.aborted === true) onAbort();
    within?.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([this.#ended, givenUp.promise]);
    } finally {
      within?.removeEventListener("abort", onAbort);
    }
  }

  /** Ends the VM by a ladder, and waits until everything of it is gone. */
  async stop(ladder: ShutdownLadder, signal: AbortSignal | undefined): Promise<ShutdownOutcome> {
    const outcome =
      this.#remains === undefined
        ? await this.#vm.stop({ ladder, ...(signal === undefined ? {} : { signal }) })
        : NOTHING_DONE;
    await this.#ended;
    return outcome;
  }

  async #seeEnd(): Promise<VmExit> {
    try {
      const exit = await this.#vm.wait();
      this.#remains = this.#collect({ ...this.started, state: "exited", pid: null, exit });
      await this.#vm.remove();
      return exit;
    } catch (error) {
      this.#remains ??= this.#collect(this.started);
      throw error;
    } finally {
      await this.#lease.release();
    }
  }

  /** `view` serves where the record is gone already: another manager may remove what has ended. */
  #collect(view: VmView): Remains {
    try {
      return { view: this.#vm.inspect(), console: this.#vm.readConsole(), log: this.#vm.readLog() };
    } catch (error) {
      if (isWarderError(error) && error.code === "vm-not-found") return { view, console: "", log: "" };
      throw error;
    }
  }
}

function cancellable(signal: AbortSignal | undefined, timeoutMs: number | undefined): Cancellable {
  const signals = [
    ...(signal === undefined ? [] : [signal]),
    ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
  ];
  return signals.length === 0 ? {} : { signal: AbortSignal.any(signals) };
}
