import type { Server, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, Http2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { WebRequest, WebResponse } from "./exchange.ts";
import type { ServerLimits } from "./limits.ts";

/** RFC 9113, 7. */
const CANCEL = 0x8;

/**
 * Cuts off clients that do not take the answer that waits for them, and HTTP/2 requests that are not finished in time
 * (Node's HTTP/1 server does that by itself). Node's timers know whether anything of an answer was taken meanwhile; what
 * they do not know is that a stream without news is no reason to end it.
 */
export class SlowClients {
  readonly #limits: Pick<ServerLimits, "requestTimeoutMs" | "stallTimeoutMs">;
  /** The exchange that an HTTP/1 connection is in. */
  readonly #exchanges = new WeakMap<Socket, ServerResponse>();

  readonly #endConnection: (session: Http2Session | undefined) => void;

  /** @param endConnection - Ends the connection of an HTTP/2 session without a word. */
  constructor(
    limits: Pick<ServerLimits, "requestTimeoutMs" | "stallTimeoutMs">,
    http1: Server,
    endConnection: (session: Http2Session | undefined) => void,
  ) {
    this.#limits = limits;
    this.#endConnection = endConnection;
    // Fires where nothing was sent or taken for that long, also between two requests, then after the idle timeout.
    http1.setTimeout(limits.stallTimeoutMs, (socket) => {
      const response = this.#exchanges.get(socket);
      if (response === undefined || response.writableLength + socket.writableLength > 0) socket.destroy();
    });
  }

  /** Watches one request and its answer until that is closed. */
  watch(request: WebRequest, response: WebResponse): void {
    if (isHttp2(response)) this.#watchStream(request as Http2ServerRequest, response);
    else this.#watchConnection(request.socket, response);
  }

  #watchConnection(socket: Socket, response: ServerResponse): void {
    this.#exchanges.set(socket, response);
    response.once("close", () => {
      if (this.#exchanges.get(socket) === response) this.#exchanges.delete(socket);
    });
  }

  #watchStream(request: Http2ServerRequest, { stream }: Http2ServerResponse): void {
    // An answer that has begun before the request has ended is one half of a conversation: it ends when its ends want.
    const cut = () => (stream.headersSent ? undefined : this.#cutOff(stream));
    const late = setTimeout(cut, this.#limits.requestTimeoutMs).unref();
    request.once("end", () => clearTimeout(late));
    stream.once("close", () => clearTimeout(late));
    stream.setTimeout(this.#limits.stallTimeoutMs, () => {
      if (stream.writableLength > 0) this.#cutOff(stream);
    });
  }

  /** Ends one exchange; and the connection, where the client does not even take the news of that. */
  #cutOff(stream: ServerHttp2Stream): void {
    const { session } = stream;
    stream.close(CANCEL);
    const timer = setTimeout(() => this.#endConnection(session), this.#limits.stallTimeoutMs).unref();
    stream.once("close", () => clearTimeout(timer));
  }
}

function isHttp2(response: WebResponse): response is Http2ServerResponse {
  return "stream" in response;
}
