import { Duplex } from "node:stream";
import type { Throttle } from "./throttle.ts";

/** What becomes of the end of what is written. */
export type HalfClose =
  /** The socket is told at once. Firecracker, in all releases so far, takes it for the end of both directions. */
  | "pass"
  /** The socket is told nothing: the guest ends the connection, when it has said what it has to say. */
  | "hold";

/** How a stream is limited. */
export interface LimitedStreamOptions {
  /** For what is written to the socket. */
  readonly outgoing: Throttle;
  /** For what is read from it. */
  readonly incoming: Throttle;
  readonly halfClose: HalfClose;
}

/**
 * A socket's stream within limits. Who is over a limit waits: nothing is read from the socket then, or taken from the
 * writer, and no more than a socket's own buffer is held.
 */
export class LimitedStream extends Duplex {
  readonly #socket: Duplex;
  readonly #options: LimitedStreamOptions;
  readonly #over = new AbortController();
  #isReading = false;
  #onWanted: () => void = () => undefined;

  constructor(socket: Duplex, options: LimitedStreamOptions) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#options = options;
    socket.once("error", (error) => this.destroy(error));
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send(chunk).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#options.halfClose === "hold") done();
    else this.#socket.end((error?: Error | null) => done(error));
  }

  override _read(): void {
    this.#onWanted();
    if (this.#isReading) return;
    this.#isReading = true;
    this.#receive().catch((error: Error) => this.destroy(error));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#over.abort(error ?? new Error("the stream was closed"));
    this.#onWanted();
    this.#socket.destroy();
    done(error);
  }

  async #send(chunk: Buffer): Promise<void> {
    const { outgoing } = this.#options;
    for (const piece of outgoing.piecesOf(chunk)) {
      await outgoing.pass(piece.length, this.#over.signal);
      await new Promise<void>((resolve, reject) => {
        this.#socket.write(piece, (error) => (error == null ? resolve() : reject(error)));
      });
    }
  }

  async #receive(): Promise<void> {
    const { incoming } = this.#options;
    for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
      for (const piece of incoming.piecesOf(chunk)) {
        await incoming.pass(piece.length, this.#over.signal);
        if (this.destroyed) return;
        if (!this.push(piece)) await this.#wanted();
      }
    }
    this.push(null);
  }

  /** Settles when the reader asks for more, or the stream is over. */
  #wanted(): Promise<void> {
    return new Promise((resolve) => {
      this.#onWanted = resolve;
    });
  }
}
