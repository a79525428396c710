import type { Duplex } from "node:stream";
import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import type { VsockPortLimits, VsockSpec } from "../vm/vsock.ts";
import type { VsockTarget } from "../vm/vsock-target.ts";
import {
  CONNECT_TIMEOUT_MS,
  type ConnectOptions,
  type OnConnection,
  type VsockAccess,
  type VsockListening,
} from "./access.ts";
import { Door } from "./door.ts";
import { Gate, type GateCounts } from "./gate.ts";
import { askForPort } from "./handshake.ts";
import { Passage } from "./passage.ts";
import { ensureSocketDirectory, guestSocket, socketDirectory, type VsockPlace } from "./place.ts";
import { relay } from "./relay.ts";

/** What has passed between a VM and its host. */
export interface VsockStatistics extends GateCounts {
  /** Of ports with limits of their own, by `host:<port>` and `guest:<port>`. */
  readonly ports: Readonly<Record<string, GateCounts>>;
}

/** What a broker is made with. */
export interface BrokerOptions {
  readonly host: Host;
  readonly place: VsockPlace;
  readonly spec: VsockSpec;
  /** Told what keeps a port from working; at most once in ten seconds a port. */
  readonly warn: (message: string, details: Readonly<Record<string, unknown>>) => void;
}

const TARGET_TIMEOUT_MS = 5_000;
const WARN_EVERY_MS = 10_000;

/**
 * All vsock connections of one VM, both ways. Nobody else touches its sockets: a port is closed unless it was opened
 * here, and every connection and every byte passes the limits of its port and of its VM.
 */
export class VsockBroker implements VsockAccess, Disposable {
  readonly #options: BrokerOptions;
  readonly #gate: Gate;
  readonly #portGates = new Map<string, Gate>();
  readonly #doors = new Map<number, Door>();
  readonly #streams = new Set<Duplex>();
  readonly #warnedAt = new Map<number, number>();
  readonly #closed = new AbortController();

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { spec, host } = options;
    this.#gate = new Gate(spec.limits, host.clock, true);
    for (const { port, limits } of spec.guestPorts) this.#portGates.set(`guest:${port}`, new Gate(limits, host.clock));
  }

  /** Opens the ports that the VM's description names. */
  async open(): Promise<void> {
    const { host, place, spec } = this.#options;
    ensureSocketDirectory(host, place);
    for (const { port, to, limits } of spec.ports)
      await this.listen(port, (stream) => this.#forward(stream, to), limits);
  }

  async connect(port: number, options: ConnectOptions = {}): Promise<Duplex> {
    const doing = `connecting to vsock port ${port} of ${this.#options.place.id}`;
    const passage = Passage.enter("host", this.#gatesOf("guest", port), () => this.#onLeft());
    if (passage === undefined) throw full(doing);
    const { timeoutMs = CONNECT_TIMEOUT_MS, signal } = options;
    try {
      // Inside: a time-out that is none throws, and the place must be given back.
      const until = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closed.signal, ...(signal ? [signal] : [])]);
      const socket = await this.#dial(port, passage, until);
      return this.#keep(passage.limit(socket, options.halfClose ?? "hold"));
    } catch (error) {
      passage.leave();
      throw this.#explain(error, doing, timeoutMs);
    }
  }

  async listen(port: number, onConnection: OnConnection, limits: VsockPortLimits = {}): Promise<VsockListening> {
    if (this.#doors.has(port)) throw taken(this.#options.place.id, port);
    const { host, place } = this.#options;
    this.#portGates.set(`host:${port}`, new Gate(limits, host.clock));
    const door = new Door({
      host,
      place,
      port,
      gates: this.#gatesOf("host", port),
      onConnection: (stream) => void this.#serve(port, stream, onConnection),
      onLeft: () => this.#onLeft(),
      onFailure: (error) => this.#warn(port, error),
    });
    this.#doors.set(port, door);
    const close = () => this.#close(port, door);
    try {
      await door.open();
    } catch (error) {
      close();
      throw WarderError.from(error, "internal", `opening vsock port ${port} of the host to ${place.id}`);
    }
    return { close, closed: door.closed, [Symbol.dispose]: close };
  }

  /** What has passed so far. */
  get statistics(): VsockStatistics {
    const ports = [...this.#portGates].map(([name, gate]) => [name, gate.counts] as const);
    return { ...this.#gate.counts, ports: Object.fromEntries(ports) };
  }

  /** Closes every port and every connection. */
  [Symbol.dispose](): void {
    this.#closed.abort(new Error("the VM is not looked after any more"));
    for (const [port, door] of this.#doors) this.#close(port, door);
    for (const stream of this.#streams) stream.destroy();
  }

  #gatesOf(side: "guest" | "host", port: number): Gate[] {
    const own = this.#portGates.get(`${side}:${port}`);
    return own === undefined ? [this.#gate] : [own, this.#gate];
  }

  async #dial(port: number, passage: Passage, until: AbortSignal): Promise<Duplex> {
    const { host, place } = this.#options;
    await passage.turn(until);
    const socket = { path: guestSocket(place), owner: place.uid, through: socketDirectory(place) };
    const stream = await host.streams.connectOwned(socket, until);
    try {
      await askForPort(stream, place.id, port, until);
      return stream;
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  #explain(error: unknown, doing: string, timeoutMs: number): WarderError {
    if (this.#closed.signal.aborted) return new WarderError("wrong-state", { doing, why: "the VM has ended" });
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ECONNREFUSED") {
      const why = "its Firecracker does not listen: it has no vsock device, or has ended";
      return new WarderError("vsock-refused", { doing, why, cause: error });
    }
    const known = WarderError.from(error, "vsock-refused", doing);
    if (known.code !== "deadline-exceeded") return known;
    return new WarderError("deadline-exceeded", {
      doing,
      why: `the guest has not answered within ${timeoutMs} ms`,
      cure: "A guest without a vsock driver never answers; one that boots answers later",
      cause: error,
    });
  }

  async #serve(port: number, stream: Duplex, onConnection: OnConnection): Promise<void> {
    this.#keep(stream);
    try {
      await onConnection(stream);
    } catch (error) {
      stream.destroy();
      this.#warn(port, error);
    }
  }

  async #forward(stream: Duplex, to: VsockTarget): Promise<void> {
    const until = AbortSignal.any([AbortSignal.timeout(TARGET_TIMEOUT_MS), this.#closed.signal]);
    const service = await this.#options.host.streams.connect(to, until);
    // How a connection ends is between the guest and the service.
    await relay(stream, service).catch(() => undefined);
  }

  #keep(stream: Duplex): Duplex {
    this.#streams.add(stream);
    // Its reader sees an error; where there is none yet, or no more, it must not end the process.
    return stream.on("error", () => undefined).once("close", () => this.#streams.delete(stream));
  }

  #onLeft(): void {
    for (const door of this.#doors.values()) door.reopen();
  }

  #close(port: number, door: Door): void {
    if (this.#doors.get(port) !== door) return;
    this.#doors.delete(port);
    this.#portGates.delete(`host:${port}`);
    this.#warnedAt.delete(port);
    door.close();
  }

  #warn(port: number, error: unknown): void {
    const now = this.#options.host.clock.monotonic();
    if (this.#closed.signal.aborted || now - (this.#warnedAt.get(port) ?? Number.NEGATIVE_INFINITY) < WARN_EVERY_MS)
      return;
    this.#warnedAt.set(port, now);
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.warn("vsock port does not work", { vm_id: this.#options.place.id, port, error: reason });
  }
}

function full(doing: string): WarderError {
  return new WarderError("vsock-limit", {
    doing,
    why: "as many connections are open, or wait for their turn, as the VM or this port may have",
    cure: "Close some, or give the VM or port a higher limit",
  });
}

function taken(id: string, port: number): WarderError {
  return new WarderError("vsock-port-taken", {
    doing: `opening vsock port ${port} of the host to ${id}`,
    why: "it is open already",
    cure: "Use another port, or close the one that is open",
  });
}
