import { connect, type Socket } from "node:net";

/** A connection that says exactly the bytes it is given, as attackers and half-dead clients do. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  readonly #began = performance.now();
  received = Buffer.alloc(0);
  /** Settles with the milliseconds from the beginning when the other side has ended the connection. */
  readonly closed: Promise<number>;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1" });
    this.socket.on("error", () => undefined);
    this.socket.on("data", (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    this.closed = new Promise((resolve) => {
      this.socket.once("close", () => resolve(performance.now() - this.#began));
    });
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** Each byte in a packet of its own. */
  async drip(text: string): Promise<this> {
    this.socket.setNoDelay(true);
    for (const byte of Buffer.from(text)) {
      await new Promise((resolve) => this.socket.write(Uint8Array.of(byte), resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this;
  }

  get text(): string {
    return this.received.toString("latin1");
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
