import type { Duplex } from "node:stream";
import type * as z from "zod";
import type { Host } from "../host/host.ts";
import type { Listening } from "../host/streams.ts";
import { WarderError } from "../vm/error.ts";
import type { VsockAccess } from "./access.ts";
import { controlRequest, LINE_MAX_BYTES, toErrorLine, toLine } from "./control-messages.ts";
import { readLine } from "./line.ts";
import { ensureSocketDirectory, socketDirectory, type VsockPlace } from "./place.ts";
import { relay } from "./relay.ts";

/** The socket of other processes, in a directory that is root's alone. */
export const CONTROL_NAME = "control";

/** How long a process may take to say what it wants, or to take a connection that it was told of. */
const PATIENCE_MS = 5_000;

/** Most connections at once: twice as many as there can be streams, as each process has one more for its ports. */
const CONNECTIONS_MAXIMUM = 2_048;

type Request = z.output<typeof controlRequest>;

/**
 * Lets other processes of this host use a broker, so that a VM's limits hold for all of them together. Whoever gets to
 * the socket is root, and the broker is asked for no more than its own process could ask.
 */
export class ControlServer {
  readonly #host: Host;
  readonly #place: VsockPlace;
  readonly #broker: VsockAccess;
  readonly #connections = new Set<Duplex>();
  /** Connections of the guest's that a process was told of and has not taken yet. */
  readonly #untaken = new Map<number, { readonly connection: Duplex; readonly taken: AbortController }>();
  #lastNumber = 0;
  #listening: Listening | undefined;

  constructor(host: Host, place: VsockPlace, broker: VsockAccess) {
    this.#host = host;
    this.#place = place;
    this.#broker = broker;
  }

  async open(): Promise<void> {
    ensureSocketDirectory(this.#host, this.#place);
    const directory = socketDirectory(this.#place);
    // Left by a manager that is gone.
    this.#host.files.removeFile(`${directory}/${CONTROL_NAME}`);
    this.#listening = await this.#host.streams.listen({
      directory,
      name: CONTROL_NAME,
      ownership: { mode: 0o600 },
      onConnection: (stream) => void this.#serve(stream),
    });
  }

  close(): void {
    this.#listening?.close();
    for (const { taken } of this.#untaken.values()) taken.abort();
    for (const stream of this.#connections) stream.destroy();
  }

  async #serve(stream: Duplex): Promise<void> {
    if (this.#connections.size >= CONNECTIONS_MAXIMUM) return void stream.destroy();
    this.#connections.add(stream);
    stream.once("close", () => this.#connections.delete(stream));
    try {
      await this.#answer(stream, await readRequest(stream));
    } catch (error) {
      stream.end(toErrorLine(error));
    }
  }

  async #answer(stream: Duplex, request: Request): Promise<void> {
    if ("listen" in request) return this.#listen(stream, request);
    const other = "take" in request ? this.#take(request.take) : await this.#connect(stream, request);
    stream.write(toLine({ ok: true }));
    // How it ends is between the two ends.
    await relay(stream, other).catch(() => undefined);
  }

  async #connect(stream: Duplex, request: Extract<Request, { connect: number }>): Promise<Duplex> {
    const { connect: port, timeoutMs, halfClose } = request;
    const gone = new AbortController();
    // Before it has an answer, a process has nothing to say: an end means that it has gone.
    const stopWatching = onEnd(stream, () => gone.abort());
    try {
      const connection = await this.#broker.connect(port, {
        signal: gone.signal,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(halfClose === undefined ? {} : { halfClose }),
      });
      // It does not end what it holds open: afterwards, too, an end means that it has gone.
      if (halfClose !== "pass") stream.once("end", () => connection.destroy());
      return connection;
    } finally {
      stopWatching();
    }
  }

  async #listen(stream: Duplex, { listen: port, limits }: Extract<Request, { listen: number }>): Promise<void> {
    const listening = await this.#broker.listen(port, (connection) => this.#tell(stream, connection), limits);
    void listening.closed.then(() => stream.destroy());
    stream.once("close", () => listening.close());
    // Its end is seen only by who reads it.
    stream.once("end", () => stream.destroy()).resume();
    stream.write(toLine({ ok: true }));
    if (stream.destroyed) listening.close();
  }

  /** A connection that nobody takes in time is closed. */
  async #tell(listener: Duplex, connection: Duplex): Promise<void> {
    const number = ++this.#lastNumber;
    const taken = new AbortController();
    this.#untaken.set(number, { connection, taken });
    listener.write(toLine({ connection: number }));
    try {
      await this.#host.clock.sleep(PATIENCE_MS, taken.signal);
      connection.destroy();
    } catch {
      // It was taken.
    } finally {
      this.#untaken.delete(number);
    }
  }

  #take(number: number): Duplex {
    const untaken = this.#untaken.get(number);
    untaken?.taken.abort();
    this.#untaken.delete(number);
    if (untaken !== undefined) return untaken.connection;
    const doing = "taking a connection of the guest's";
    throw new WarderError("vsock-refused", { doing, why: "it is not there any more" });
  }
}

/** Calls back when the other side has ended a stream that is not read yet; the returned function stops looking. */
function onEnd(stream: Duplex, callback: () => void): () => void {
  const look = () => {
    // Only with nothing left to read does reading tell of the end.
    if (stream.readableLength === 0) stream.read();
  };
  stream.on("readable", look).once("end", callback);
  return () => void stream.removeListener("readable", look).removeListener("end", callback);
}

async function readRequest(stream: Duplex): Promise<Request> {
  const line = await readLine(stream, LINE_MAX_BYTES, AbortSignal.timeout(PATIENCE_MS));
  return controlRequest.parse(JSON.parse(line));
}
