import type { Client } from "@connectrpc/connect";
import { OutputKind, type VmService } from "../../gen/warder/v1/vm_service_pb.js";
import type { VmExit } from "../vm/exit.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmView } from "../vm/view.ts";
import { fromWireExit, fromWireOutcome, toWireLadder } from "../wire/exit.ts";
import { fromWireIsolation } from "../wire/isolation.ts";
import { fromWireUsage, type UsageView } from "../wire/usage.ts";
import { asking, type CallOptions, telling } from "./call.ts";
import { viewOf } from "./view-of.ts";

/** One VM of a daemon's. Calls are as those of the library's `Vm`, and fail with the same errors. */
export class RemoteVm {
  readonly id: string;
  readonly #calls: Client<typeof VmService>;

  /** @internal Made by `WarderClient`. */
  constructor(calls: Client<typeof VmService>, id: string) {
    this.#calls = calls;
    this.id = id;
  }

  /** What `warder inspect` shows. */
  async inspect(options: CallOptions = {}): Promise<VmView> {
    return viewOf(await asking(`looking at ${this.id}`, () => this.#calls.getVm({ id: this.id }, options)));
  }

  /** Starts a VM that was created, or has ended; settles when it runs, proven. */
  async start(options: CallOptions = {}): Promise<VmView> {
    return viewOf(await asking(`starting ${this.id}`, () => this.#calls.startVm({ id: this.id }, options)));
  }

  /** Ends the VM in order; settles when nothing of it is left on its host. */
  async stop({ ladder, ...options }: CallOptions & { ladder?: ShutdownLadder } = {}): Promise<ShutdownOutcome> {
    const request = { id: this.id, ladder: ladder === undefined ? [] : toWireLadder(ladder) };
    return fromWireOutcome(await asking(`stopping ${this.id}`, () => this.#calls.stopVm(request, options)));
  }

  /** Ends the VM at once. */
  async kill(options: CallOptions = {}): Promise<ShutdownOutcome> {
    return fromWireOutcome(await asking(`killing ${this.id}`, () => this.#calls.killVm({ id: this.id }, options)));
  }

  /** Stops the guest's time. */
  async pause(options: CallOptions = {}): Promise<VmView> {
    return viewOf(await asking(`pausing ${this.id}`, () => this.#calls.pauseVm({ id: this.id }, options)));
  }

  /** Lets the guest's time go on. */
  async resume(options: CallOptions = {}): Promise<VmView> {
    return viewOf(await asking(`resuming ${this.id}`, () => this.#calls.resumeVm({ id: this.id }, options)));
  }

  /** Ends the VM and starts it again, with a new process and a new jail. */
  async reboot(options: CallOptions = {}): Promise<VmView> {
    return viewOf(await asking(`rebooting ${this.id}`, () => this.#calls.rebootVm({ id: this.id }, options)));
  }

  /** Forgets a VM that has ended, with its output. `force` kills it first. */
  async remove({ force = false, ...options }: CallOptions & { force?: boolean } = {}): Promise<void> {
    await asking(`removing ${this.id}`, () => this.#calls.removeVm({ id: this.id, force }, options));
  }

  /** Settles when the VM has ended and nothing of it is left on its host. */
  async wait(options: CallOptions = {}): Promise<VmExit> {
    const { exit } = await asking(`waiting for ${this.id}`, () => this.#calls.waitVm({ id: this.id }, options));
    if (exit === undefined) throw new TypeError("the daemon told of an end without telling which");
    return fromWireExit(exit);
  }

  /** Reads the VM's isolation back from the kernel once more. */
  async prove(options: CallOptions = {}): Promise<IsolationReport> {
    const doing = `proving the isolation of ${this.id}`;
    const { isolation } = await asking(doing, () => this.#calls.proveVm({ id: this.id }, options));
    if (isolation === undefined) throw new TypeError("the daemon told of a proof without telling which");
    return fromWireIsolation(isolation);
  }

  /** What the VM uses, as the kernel counts it. */
  async usage(options: CallOptions = {}): Promise<UsageView> {
    const { usage } = await asking(`measuring ${this.id}`, () => this.#calls.getUsage({ id: this.id }, options));
    return fromWireUsage(usage);
  }

  /** What is kept of the VM's output and, where it is followed, what comes until its end. Untrusted bytes. */
  async *output(
    kind: "console" | "log",
    { follow = false, ...options }: CallOptions & { follow?: boolean } = {},
  ): AsyncGenerator<Uint8Array, void> {
    const request = { id: this.id, kind: kind === "log" ? OutputKind.LOG : OutputKind.CONSOLE, follow };
    const doing = `reading the output of ${this.id}`;
    for await (const { data } of telling(doing, () => this.#calls.streamOutput(request, options))) {
      // Without data it is a sign of life.
      if (data.length > 0) yield data;
    }
  }
}
