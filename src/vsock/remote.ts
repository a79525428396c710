import type { Duplex } from "node:stream";
import type * as z from "zod";
import type { Host } from "../host/host.ts";
import { isWarderError, systemCodeOf, WarderError } from "../vm/error.ts";
import { toHostPath } from "../vm/path.ts";
import type { VsockPortLimits } from "../vm/vsock.ts";
import {
  CONNECT_TIMEOUT_MS,
  type ConnectOptions,
  type OnConnection,
  type VsockAccess,
  type VsockListening,
} from "./access.ts";
import {
  type ControlRequest,
  controlAnswer,
  controlNews,
  LINE_MAX_BYTES,
  requireOk,
  toLine,
} from "./control-messages.ts";
import { CONTROL_NAME } from "./control-server.ts";
import { LimitedStream } from "./limited-stream.ts";
import { readLine } from "./line.ts";
import { socketDirectory, type VsockPlace } from "./place.ts";
import { Throttle } from "./throttle.ts";

/** The broker answers from memory, unless it connects to the guest, which has its own deadline. */
const ANSWER_TIMEOUT_MS = 5_000;

/** The limits are the broker's. */
const free = new Throttle([], () => undefined);

/** A VM's vsock whose broker is in another process of this host: its limits hold for this process too. */
export class RemoteVsock implements VsockAccess {
  readonly #host: Pick<Host, "streams" | "processes">;
  readonly #place: VsockPlace;

  constructor(host: Pick<Host, "streams" | "processes">, place: VsockPlace) {
    this.#host = host;
    this.#place = place;
  }

  async connect(port: number, options: ConnectOptions = {}): Promise<Duplex> {
    const { timeoutMs = CONNECT_TIMEOUT_MS, halfClose = "hold", signal } = options;
    const request = { connect: port, timeoutMs, halfClose };
    const stream = await this.#ask(request, timeoutMs + ANSWER_TIMEOUT_MS, signal);
    // To the broker an end means that this process has gone, unless it is one to be passed on.
    return halfClose === "pass" ? stream : new LimitedStream(stream, { outgoing: free, incoming: free, halfClose });
  }

  async listen(port: number, onConnection: OnConnection, limits: VsockPortLimits = {}): Promise<VsockListening> {
    const stream = await this.#ask({ listen: port, limits }, ANSWER_TIMEOUT_MS);
    const closed = this.#follow(stream, onConnection);
    const close = () => void stream.destroy();
    return { close, closed, [Symbol.dispose]: close };
  }

  /** Takes each connection that the broker tells of, until it or this process closes the port. */
  async #follow(stream: Duplex, onConnection: OnConnection): Promise<void> {
    const forever = new AbortController().signal;
    try {
      for (;;) {
        const { connection } = controlNews.parse(JSON.parse(await readLine(stream, LINE_MAX_BYTES, forever)));
        void this.#serve(connection, onConnection);
      }
    } catch {
      // However it ended: the port is closed now.
      stream.destroy();
    }
  }

  async #serve(number: number, onConnection: OnConnection): Promise<void> {
    let stream: Duplex | undefined;
    try {
      stream = await this.#ask({ take: number }, ANSWER_TIMEOUT_MS);
      await onConnection(stream);
    } catch {
      // The guest has gone, or the handler has failed, whose business it is to say so.
      stream?.destroy();
    }
  }

  /** Asks, and gives the connection on after the answer. */
  async #ask(request: ControlRequest, timeoutMs: number, signal?: AbortSignal): Promise<Duplex> {
    const until = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]);
    let stream: Duplex | undefined;
    try {
      stream = await this.#dial(until);
      stream.write(toLine(request));
      requireOk(controlAnswer.parse(JSON.parse(await readLine(stream, LINE_MAX_BYTES, until))));
      return stream;
    } catch (error) {
      stream?.destroy();
      throw isWarderError(error) ? error : this.#explain(error);
    }
  }

  #dial(until: AbortSignal): Promise<Duplex> {
    const through = socketDirectory(this.#place);
    const path = toHostPath(`${through}/${CONTROL_NAME}`);
    return this.#host.streams.connectOwned({ path, through, owner: this.#host.processes.effectiveUid }, until);
  }

  #explain(error: unknown): WarderError {
    const doing = `asking the manager of ${this.#place.id} for its vsock`;
    const system = systemCodeOf(error);
    if (system !== "ENOENT" && system !== "ECONNREFUSED")
      return WarderError.from(error as z.ZodError, "internal", doing);
    return new WarderError("wrong-state", {
      doing,
      why: "it does not serve it: the VM has ended, or is being taken over",
    });
  }
}
