import { once } from "node:events";
import * as fs from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";

/** What a program of the guest's does with a connection. */
export type GuestProgram = (socket: Socket) => void;

/** How the stand-in behaves. */
export interface FakeVsockOptions {
  /** No driver in the guest: a connection is taken and never answered. */
  readonly silent?: boolean;
  /** Instead of `OK <port>`. */
  readonly answer?: string;
}

/**
 * Firecracker's side of the vsock protocol, with a guest behind it: a Unix socket that takes `CONNECT <port>`, and
 * connections of the guest's to `<socket>_<port>`. Unlike Firecracker's, its connections end one direction at a time,
 * which is how the broker's own half of the work can be seen.
 */
export class FakeVsock implements AsyncDisposable {
  readonly path: string;
  /** The first line of each connection so far. */
  readonly asked: string[] = [];
  readonly #programs = new Map<number, GuestProgram>();
  readonly #options: FakeVsockOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #hostPort = 1 << 30;

  private constructor(path: string, options: FakeVsockOptions) {
    this.path = path;
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
  }

  static async open(path: string, options: FakeVsockOptions = {}): Promise<FakeVsock> {
    const fake = new FakeVsock(path, options);
    await once(fake.#server.listen(path), "listening");
    return fake;
  }

  /** A program of the guest's listens on a port. */
  listen(port: number, program: GuestProgram): void {
    this.#programs.set(port, program);
  }

  /** A program of the guest's connects to a port of the host's. Rejects where nobody listens. */
  async connect(port: number): Promise<Socket> {
    const socket = this.#keep(connect({ path: `${this.path}_${port}`, allowHalfOpen: true }));
    await once(socket, "connect");
    return socket;
  }

  /** Whether a connection to a port of the host's would find anything. */
  isOpen(port: number): boolean {
    return fs.existsSync(`${this.path}_${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on("error", () => undefined).once("close", () => this.#sockets.delete(socket));
  }

  #take(socket: Socket): void {
    this.#keep(socket);
    socket.once("data", (data: Buffer) => {
      const text = data.toString("latin1");
      const line = text.slice(0, text.indexOf("\n"));
      this.asked.push(line);
      if (this.#options.silent === true) return;
      const program = this.#programs.get(Number(/^CONNECT (\d+)$/.exec(line)?.[1]));
      if (program === undefined) return void socket.destroy();
      const rest = data.subarray(line.length + 1);
      if (rest.length > 0) socket.unshift(rest);
      socket.write(this.#options.answer ?? `OK ${this.#hostPort++}\n`);
      program(socket);
    });
  }
}
