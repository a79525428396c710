/** A client that sends exactly what it is told to, and shows exactly what comes back. */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { until, within } from "./until.ts";

/** One answer, as it came. */
export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** One connection to an API socket. */
export class Connection {
  readonly #socket: Socket;
  #received = "";
  #hasEnded = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text) => {
      this.#received += text;
    });
    socket.on("close", () => {
      this.#hasEnded = true;
    });
    // The other side may die in the middle: the case sees it as the end.
    socket.on("error", () => undefined);
  }

  static async open(path: string): Promise<Connection> {
    const socket = createConnection(path);
    await within(`a connection to ${path}`, once(socket, "connect"));
    return new Connection(socket);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /** The next answer. */
  async answer(): Promise<Answer> {
    return until("an answer", () => this.#take() ?? this.#refuseEnd());
  }

  /** The other side closes the connection. */
  async end(): Promise<void> {
    await until("the end of the connection", () => this.#hasEnded);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(): Answer | undefined {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return undefined;
    const head = this.#received.slice(0, end);
    const length = Number(/^Content-Length: (\d+)$/m.exec(head)?.[1] ?? 0);
    const rest = Buffer.from(this.#received.slice(end + 4));
    if (rest.length < length) return undefined;
    this.#received = rest.subarray(length).toString();
    const status = Number(head.split(/\s/)[1]);
    return { status, head, body: rest.subarray(0, length).toString() };
  }

  #refuseEnd(): undefined {
    if (this.#hasEnded) throw new Error(`The connection ended without an answer, after ${this.#received}`);
    return undefined;
  }
}

/** The text of a request. A body that is not text is sent as JSON. */
export function requestText(method: string, path: string, body?: unknown, headers = ""): string {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const length = text === undefined ? "" : `Content-Length: ${Buffer.byteLength(text)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}${length}\r\n${text ?? ""}`;
}

/** Sends one request on a connection of its own. */
export async function request(socket: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return exchange(socket, requestText(method, path, body));
}

/** Sends text on a connection of its own, and returns the first answer. */
export async function exchange(socket: string, text: string): Promise<Answer> {
  const connection = await Connection.open(socket);
  try {
    connection.send(text);
    return await connection.answer();
  } finally {
    connection.close();
  }
}

/** The `fault_message` of an answer, with its status before it. */
export async function fault(socket: string, method: string, path: string, body?: unknown): Promise<string> {
  const answer = await request(socket, method, path, body);
  const message: unknown = answer.body === "" ? "" : JSON.parse(answer.body).fault_message;
  return `${answer.status} ${message}`;
}
