import type { Client } from "@connectrpc/connect";
import {
  type KillVmResponse,
  OutputKind,
  type StopVmResponse,
  type VmService,
} from "../../gen/warder/v1/vm_service_pb.js";
import type { LimitedDevice } from "../lifecycle/rate-limits.ts";
import type { VmExit } from "../vm/exit.ts";
import type { IsolationReport } from "../vm/isolation.ts";
import type { RateLimitInput } from "../vm/rate-limit.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmView } from "../vm/view.ts";
import { fromWireExit, fromWireOutcome, toWireLadder } from "../wire/exit.ts";
import { fromWireIsolation } from "../wire/isolation.ts";
import { toWireRateLimit } from "../wire/rate-limit.ts";
import { fromWireUsage, type UsageView } from "../wire/usage.ts";
import { toShort } from "../wire/values.ts";
import { asking, type CallOptions, telling } from "./call.ts";
import { RemoteMetadata } from "./metadata.ts";
import { viewOf } from "./view-of.ts";
import { RemoteVsock } from "./vsock.ts";

/** How a call is known for the retry of another. */
export interface Retryable {
  /** The same for a retry of the same request: nothing is done twice. */
  readonly idempotencyKey?: string;
}

/** Which part of a VM's output. */
export interface OutputRange {
  /** Go on until the VM has ended. Default false. */
  readonly follow?: boolean;
  /** Begin with the last so many lines of what is kept. Default: with all of it. */
  readonly tailLines?: number;
}

/** What was dropped for one reason, since the rules of a VM's network were put in force. */
export interface DropView {
  readonly reason: string;
  readonly packets: number;
  readonly bytes: number;
}

/** What became of a shutdown, and of the VM. */
export interface RemoteOutcome extends ShutdownOutcome {
  /** Absent where it never came to an end, as it never ran. */
  readonly exit?: VmExit;
}

/** One VM of a daemon's. Calls are as those of the library's `Vm`, and fail with the same errors. */
export class RemoteVm {
  readonly id: string;
  /** What the daemon told of it when this client made it; absent where it was looked up by its id. */
  readonly made: VmView | undefined;
  readonly #calls: Client<typeof VmService>;

  /** @internal Made by `WarderClient`. */
  constructor(calls: Client<typeof VmService>, id: string, made?: VmView) {
    this.#calls = calls;
    this.id = id;
    this.made = made;
  }

  /** What `warder inspect` shows. */
  async inspect(options: CallOptions = {}): Promise<VmView> {
    return viewOf(await asking(`looking at ${this.id}`, options, (given) => this.#calls.getVm({ id: this.id }, given)));
  }

  /** Starts a VM that was created, or has ended; settles when it runs, proven. */
  async start({ idempotencyKey = "", ...options }: CallOptions & Retryable = {}): Promise<VmView> {
    const request = { id: this.id, idempotencyKey };
    return viewOf(await asking(`starting ${this.id}`, options, (given) => this.#calls.startVm(request, given)));
  }

  /** Ends the VM in order; settles when nothing of it is left on its host. */
  async stop({ ladder, ...options }: CallOptions & { ladder?: ShutdownLadder } = {}): Promise<RemoteOutcome> {
    const request = { id: this.id, ladder: ladder === undefined ? [] : toWireLadder(ladder) };
    return outcomeOf(await asking(`stopping ${this.id}`, options, (given) => this.#calls.stopVm(request, given)));
  }

  /** Ends the VM at once. */
  async kill(options: CallOptions = {}): Promise<RemoteOutcome> {
    return outcomeOf(
      await asking(`killing ${this.id}`, options, (given) => this.#calls.killVm({ id: this.id }, given)),
    );
  }

  /** Stops the guest's time. `force`: even where this release of Firecracker loses the VM's vsock by it. */
  async pause({ force = false, ...options }: CallOptions & { force?: boolean } = {}): Promise<VmView> {
    const request = { id: this.id, force };
    return viewOf(await asking(`pausing ${this.id}`, options, (given) => this.#calls.pauseVm(request, given)));
  }

  /** Lets the guest's time go on. */
  async resume(options: CallOptions = {}): Promise<VmView> {
    return viewOf(
      await asking(`resuming ${this.id}`, options, (given) => this.#calls.resumeVm({ id: this.id }, given)),
    );
  }

  /** Ends the VM and starts it again, with a new process and a new jail. */
  async reboot({ ladder, ...options }: CallOptions & { ladder?: ShutdownLadder } = {}): Promise<VmView> {
    const request = { id: this.id, ladder: ladder === undefined ? [] : toWireLadder(ladder) };
    return viewOf(await asking(`rebooting ${this.id}`, options, (given) => this.#calls.rebootVm(request, given)));
  }

  /** Forgets a VM that has ended, with its output. `force` kills it first. */
  async remove({ force = false, ...options }: CallOptions & { force?: boolean } = {}): Promise<void> {
    await asking(`removing ${this.id}`, options, (given) => this.#calls.removeVm({ id: this.id, force }, given));
  }

  /** Settles when the VM has ended and nothing of it is left on its host. */
  async wait(options: CallOptions = {}): Promise<VmExit> {
    const { exit } = await asking(`waiting for ${this.id}`, options, (given) =>
      this.#calls.waitVm({ id: this.id }, given),
    );
    if (exit === undefined) throw new TypeError("the daemon told of an end without telling which");
    return fromWireExit(exit);
  }

  /** Reads the VM's isolation back from the kernel once more. */
  async prove(options: CallOptions = {}): Promise<IsolationReport> {
    const doing = `proving the isolation of ${this.id}`;
    const { isolation } = await asking(doing, options, (given) => this.#calls.proveVm({ id: this.id }, given));
    if (isolation === undefined) throw new TypeError("the daemon told of a proof without telling which");
    return fromWireIsolation(isolation);
  }

  /** What the VM uses, as the kernel counts it. */
  async usage(options: CallOptions = {}): Promise<UsageView> {
    const { usage } = await asking(`measuring ${this.id}`, options, (given) =>
      this.#calls.getUsage({ id: this.id }, given),
    );
    return fromWireUsage(usage);
  }

  /** Limits a disk or an interface, in place of any limit it had; `null` takes the limit away. */
  async setRateLimit(device: LimitedDevice, limit: RateLimitInput | null, options: CallOptions = {}): Promise<void> {
    const request = {
      id: this.id,
      device:
        "drive" in device
          ? { case: "drive" as const, value: device.drive }
          : { case: "network" as const, value: { name: device.network, direction: device.direction } },
      ...(limit === null ? {} : { limit: toWireRateLimit(limit) }),
    };
    await asking(`limiting a device of ${this.id}`, options, (given) => this.#calls.setRateLimit(request, given));
  }

  /** What the guest is served of itself. */
  get metadata(): RemoteMetadata {
    return new RemoteMetadata(this.#calls, this.id);
  }

  /** Streams to and from programs of the guest. */
  get vsock(): RemoteVsock {
    return new RemoteVsock(this.#calls, this.id);
  }

  /** What the rules of the VM's network have dropped; nothing where it has none now. */
  async drops(options: CallOptions = {}): Promise<DropView[]> {
    const doing = `counting what was dropped of ${this.id}`;
    const { drops } = await asking(doing, options, (given) => this.#calls.countDrops({ id: this.id }, given));
    return drops.map(({ reason, packets, bytes }) => {
      return { reason, packets: Number(packets), bytes: Number(bytes) };
    });
  }

  /** What is kept of the VM's output and, where it is followed, what comes until its end. Untrusted bytes. */
  async *output(
    kind: "console" | "log",
    { follow = false, tailLines, ...options }: CallOptions & OutputRange = {},
  ): AsyncGenerator<Uint8Array, void> {
    const request = {
      id: this.id,
      kind: kind === "log" ? OutputKind.LOG : OutputKind.CONSOLE,
      follow,
      ...(tailLines === undefined ? {} : { tailLines: toShort(tailLines) }),
    };
    const doing = `reading the output of ${this.id}`;
    for await (const { data } of telling(doing, options, (given) => this.#calls.streamOutput(request, given))) {
      // Without data it is a sign of life.
      if (data.length > 0) yield data;
    }
  }
}

function outcomeOf(answer: StopVmResponse | KillVmResponse): RemoteOutcome {
  const { exit } = answer;
  return { ...fromWireOutcome(answer), ...(exit === undefined ? {} : { exit: fromWireExit(exit) }) };
}
