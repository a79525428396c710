import type { Duplex } from "node:stream";
import { notFound } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { isLive } from "../vm/state.ts";
import {
  type VsockPortLimits,
  type VsockPortLimitsInput,
  vsockPortLimitsSchema,
  vsockPortProblem,
} from "../vm/vsock.ts";
import type { ConnectOptions, OnConnection, VsockAccess, VsockListening } from "../vsock/access.ts";
import type { VsockStatistics } from "../vsock/broker.ts";
import type { Machinery } from "./machinery.ts";
import { hasLivingOwner } from "./owner.ts";
import { placeOf } from "./vsock-brokers.ts";

/**
 * The vsock of one VM: streams between programs of its guest and of this host, within the VM's limits. Whichever process
 * asks, all go through the one broker in the process that looks after the VM; a VM that nobody looks after is taken over.
 */
export class VmVsock {
  readonly #machinery: Machinery;
  readonly #id: VmId;
  readonly #lookAfter: () => boolean;

  /** @internal Made by `Vm`. */
  constructor(machinery: Machinery, id: VmId, lookAfter: () => boolean) {
    this.#machinery = machinery;
    this.#id = id;
    this.#lookAfter = lookAfter;
  }

  /**
   * Connects to a port of the guest's. The stream is the caller's to destroy: until the guest has ended the connection
   * too, ending it leaves it open (see {@link ConnectOptions.halfClose}).
   *
   * @throws {@link WarderError} `vsock-refused` where nothing in the guest listens; `vsock-limit`; `deadline-exceeded`
   * where the guest does not answer; `wrong-state`; `process-stranger`; `invalid-argument`; `aborted`.
   */
  async connect(port: number, options: ConnectOptions = {}): Promise<Duplex> {
    const doing = `connecting to vsock port ${port} of ${this.#id}`;
    refuseOddPort(doing, port);
    return (await this.#access(doing)).connect(port, options);
  }

  /**
   * Opens a port of the host's to the guest, until the VM ends, this process ends, or {@link VsockListening.close}.
   *
   * @param onConnection - Gets each connection of the guest's; what it throws ends that one.
   * @param limits - Of this port, beside those of the VM.
   * @throws {@link WarderError} `vsock-port-taken`; `wrong-state`; `invalid-argument`.
   */
  async listen(port: number, onConnection: OnConnection, limits: VsockPortLimitsInput = {}): Promise<VsockListening> {
    const doing = `opening vsock port ${port} of the host to ${this.#id}`;
    refuseOddPort(doing, port);
    const parsed = parseLimits(doing, limits);
    return (await this.#access(doing)).listen(port, onConnection, parsed);
  }

  /** What has passed since this process looks after the VM; `undefined` where another one does. */
  async statistics(): Promise<VsockStatistics | undefined> {
    return (await this.#machinery.vsock.of(this.#id))?.statistics;
  }

  async #access(doing: string): Promise<VsockAccess> {
    const record = this.#machinery.store.get(this.#id);
    if (record === undefined) throw notFound(this.#id);
    refuseWithout(doing, record);
    const own = await this.#machinery.vsock.of(this.#id);
    if (own !== undefined) return own;
    if (!hasLivingOwner(this.#machinery, record) && this.#lookAfter()) {
      const adopted = await this.#machinery.vsock.of(this.#id);
      if (adopted !== undefined) return adopted;
    }
    const { RemoteVsock } = await import("../vsock/remote.ts");
    return new RemoteVsock(this.#machinery.host, placeOf(record));
  }
}

function refuseWithout(doing: string, { spec, state }: VmRecord): void {
  if (spec.vsock === undefined) {
    const cure = "Give it one when it is made: `vsock: {}`, or `warder run --vsock`";
    throw new WarderError("wrong-state", { doing, why: "the VM has no vsock", cure });
  }
  if (isLive(state) && state !== "paused") return;
  throw new WarderError("wrong-state", { doing, why: `it is ${state}: its guest answers nobody` });
}

function refuseOddPort(doing: string, port: number): void {
  const problem = vsockPortProblem(port);
  if (problem === undefined) return;
  throw new WarderError("invalid-argument", { doing, why: "one field is wrong", fields: [{ field: "port", problem }] });
}

function parseLimits(doing: string, limits: VsockPortLimitsInput): VsockPortLimits {
  const parsed = vsockPortLimitsSchema.safeParse(limits);
  if (parsed.success) return parsed.data;
  throw new WarderError("invalid-argument", {
    doing,
    why: "its limits are wrong",
    fields: parsed.error.issues.map(({ path, message }) => ({ field: `limits.${path.join(".")}`, problem: message })),
  });
}
