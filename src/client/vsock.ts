import { Duplex } from "node:stream";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { StreamVsockRequestSchema, StreamVsockResponse, VmService } from "../../gen/warder/v1/vm_service_pb.js";
import { WarderError } from "../vm/error.ts";
import { toShort } from "../wire/values.ts";
import { telling } from "./call.ts";
import { RequestQueue } from "./request-queue.ts";

/** How a connection to or from the guest is made. */
export interface VsockOptions {
  /** Most milliseconds until there is one. Default: 10 000 to connect, and as long as the VM runs to accept. */
  readonly timeoutMs?: number;
  /** Gives up until there is a connection; after that the stream is the caller's to destroy. */
  readonly signal?: AbortSignal;
  /** What ending the stream's writing side does: `hold` (default) leaves the connection open; `pass` ends it. */
  readonly halfClose?: "hold" | "pass";
}

type Request = MessageInitShape<typeof StreamVsockRequestSchema>;

/** The vsock of one VM: streams between programs of its guest and of this process, within the VM's limits. */
export class RemoteVsock {
  readonly #calls: Client<typeof VmService>;
  readonly #id: string;

  /** @internal Made by `RemoteVm`. */
  constructor(calls: Client<typeof VmService>, id: string) {
    this.#calls = calls;
    this.#id = id;
  }

  /** Connects to a port of the guest's. The stream is the caller's to destroy. */
  connect(port: number, options: VsockOptions = {}): Promise<Duplex> {
    return this.#open(`connecting to vsock port ${port} of ${this.#id}`, port, false, options);
  }

  /** Waits for the guest to connect to a port of the host's, once. The stream is the caller's to destroy. */
  accept(port: number, options: VsockOptions = {}): Promise<Duplex> {
    return this.#open(`waiting for ${this.#id} to connect to vsock port ${port}`, port, true, options);
  }

  async #open(
    doing: string,
    port: number,
    listen: boolean,
    { timeoutMs, signal, halfClose = "hold" }: VsockOptions,
  ): Promise<Duplex> {
    const over = new AbortController();
    const giveUp = () => over.abort(signal?.reason);
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    const opening = { id: this.#id, port, listen, passEnd: halfClose === "pass" };
    const requests = new RequestQueue<Request>();
    void requests.push({ opening: timeoutMs === undefined ? opening : { ...opening, timeoutMs: toShort(timeoutMs) } });
    const answers = telling(doing, { signal: over.signal }, (given) => this.#calls.streamVsock(requests, given));
    try {
      const first = await answers.next();
      if (first.done !== true) return toDuplex(answers, requests, over);
      throw new WarderError("vsock-broken", { doing, why: "the daemon ended it before there was a connection" });
    } catch (error) {
      over.abort();
      throw error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }
}

function toDuplex(
  answers: AsyncGenerator<StreamVsockResponse, void>,
  requests: RequestQueue<Request>,
  over: AbortController,
): Duplex {
  const read = async (stream: Duplex) => {
    for (;;) {
      const { done, value } = await answers.next();
      if (done === true) return void stream.push(null);
      // Without data it is a sign of life.
      if (value.data.length > 0) return void stream.push(value.data);
    }
  };
  return new Duplex({
    // What the guest has ended takes nothing any more.
    autoDestroy: true,
    read() {
      read(this).catch((error: unknown) => this.destroy(error as Error));
    },
    write(chunk: Buffer, _encoding, callback) {
      requests.push({ data: chunk }).then(() => callback(), callback);
    },
    final(callback) {
      requests.end();
      callback();
    },
    destroy(error, callback) {
      requests.end();
      over.abort();
      callback(error);
    },
  });
}
