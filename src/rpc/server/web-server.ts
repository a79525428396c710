import * as http from "node:http";
import * as http2 from "node:http2";
import * as https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { WarderError } from "../../vm/error.ts";
import type { Door, TlsMaterial } from "./door.ts";
import { refuse, type WebHandler, type WebRequest, type WebResponse } from "./exchange.ts";
import { MAX_HEADERS, SESSION_MEMORY_MIB, type ServerLimits, STREAMS_PER_CONNECTION } from "./limits.ts";
import { sniffProtocol } from "./preface.ts";
import { SlowClients } from "./slow-clients.ts";

/** A dead peer that a stream is open to is noticed by TCP's own means. */
const KEEP_ALIVE_MS = 30_000;

/** How often Node looks for slow HTTP/1 clients, of a timeout. */
const LOOKS_PER_TIMEOUT = 4;

/**
 * HTTP/1.1 and HTTP/2 on one door, bounded. HTTP/1's server is the one that listens, so that all of its own limits hold;
 * each connection is given to the server of the protocol that it speaks.
 */
export class WebServer implements AsyncDisposable {
  readonly #front: http.Server;
  readonly #second: http2.Http2Server;
  readonly #limits: ServerLimits;
  readonly #slowClients: SlowClients;
  readonly #sockets = new Set<Socket>();
  /** Connections that have not said yet what they speak. */
  readonly #silent = new Set<Socket>();
  /** With the connection of each: an HTTP/2 session waits for ever to be rid of what its client does not take. */
  readonly #sessions = new Map<http2.Http2Session, Socket>();
  readonly #isTls: boolean;

  constructor(door: Door, limits: ServerLimits, handler: WebHandler) {
    this.#limits = limits;
    const take: WebHandler = (request, response) => this.#take(request, response, handler);
    this.#isTls = door.kind === "tls";
    this.#front =
      door.kind === "tls"
        ? https.createServer({ ...tlsOptions(door.tls, limits), ...http1Options(limits) }, take)
        : http.createServer(http1Options(limits), take);
    this.#slowClients = new SlowClients(limits, this.#front, (session) => this.#socketOf(session)?.destroy());
    this.#front.maxConnections = limits.maxConnections;
    this.#front.maxHeadersCount = MAX_HEADERS;
    this.#second = http2.createServer(http2Options(limits), take);
    // What a client's bytes are worth is the protocol's to say; it is no failure of the daemon's.
    this.#second.on("sessionError", () => undefined);
    this.#takeConnections();
  }

  /**
   * Begins to listen.
   *
   * @throws {@link WarderError} `door-unusable`.
   */
  async listen(where: { readonly path: string } | { readonly host: string; readonly port: number }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#front.once("error", reject);
    this.#front.listen(where, resolve);
    try {
      await promise;
    } catch (cause) {
      const name = "path" in where ? where.path : `${where.host}:${where.port}`;
      throw WarderError.from(cause, "door-unusable", `listening on ${name}`);
    }
    this.#front.off("error", reject);
    this.#front.on("error", () => undefined);
  }

  /** The port, where it is one. */
  get port(): number | undefined {
    const address = this.#front.address() as AddressInfo | string | null;
    return typeof address === "object" && address !== null ? address.port : undefined;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Uses other certificates for connections that come from now on. */
  replaceCertificates(tls: TlsMaterial): void {
    if (this.#front instanceof https.Server) this.#front.setSecureContext(tls);
  }

  /** Takes no more connections, and tells those that there are to end after what they have under way. */
  stopTaking(): void {
    this.#front.close();
    this.#front.closeIdleConnections();
    for (const socket of this.#silent) socket.destroy();
    for (const session of this.#sessions.keys()) session.close();
  }

  /** Settles when every connection has ended; what has not by then is ended when the signal fires. */
  async drained(signal: AbortSignal): Promise<void> {
    const cut = () => {
      for (const socket of this.#sockets) socket.destroy();
    };
    if (signal.aborted) cut();
    signal.addEventListener("abort", cut, { once: true });
    await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
    signal.removeEventListener("abort", cut);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopTaking();
    await this.drained(AbortSignal.abort());
  }

  #take(request: WebRequest, response: WebResponse, handler: WebHandler): void {
    this.#slowClients.watch(request, response);
    if (request instanceof http.IncomingMessage) readToItsEnd(request, response);
    // What Node's HTTP/2 server only tells its clients, and its HTTP/1 server sees to.
    if (headerBytes(request) <= this.#limits.maxHeaderBytes) handler(request, response);
    else refuse(response, 431, "resource_exhausted", "the headers are too large");
  }

  #takeConnections(): void {
    const event = this.#isTls ? "secureConnection" : "connection";
    const own = this.#front.listeners(event);
    this.#front.removeAllListeners(event);
    const toHttp1 = (socket: Socket) => {
      for (const listener of own) listener.call(this.#front, socket);
    };
    this.#front.on(event, (socket: Socket | TLSSocket) => {
      this.#keepSocket(socket);
      if ("alpnProtocol" in socket) {
        if (socket.alpnProtocol === "h2") this.#toHttp2(socket);
        else toHttp1(socket);
      } else void this.#sniff(socket, toHttp1);
    });
    this.#front.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  async #sniff(socket: Socket, toHttp1: (socket: Socket) => void): Promise<void> {
    this.#silent.add(socket);
    const protocol = await sniffProtocol(socket, this.#limits.headerTimeoutMs);
    this.#silent.delete(socket);
    if (protocol === undefined) socket.destroy();
    else if (protocol === "h2") this.#toHttp2(socket);
    else {
      toHttp1(socket);
      // What was given back to the socket goes to the parser before anything that comes after it.
      socket.resume();
    }
  }

  #keepSocket(socket: Socket): void {
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("error", () => socket.destroy());
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #toHttp2(socket: Socket): void {
    const keep = (session: http2.ServerHttp2Session) => this.#keepSession(session, socket);
    this.#second.once("session", keep);
    // Makes the session, and tells of it, before it returns; or does not, where the socket has ended meanwhile.
    this.#second.emit("connection", socket);
    this.#second.off("session", keep);
  }

  #keepSession(session: http2.ServerHttp2Session, socket: Socket): void {
    let streams = 0;
    this.#sessions.set(session, socket);
    socket.once("close", () => this.#sessions.delete(session));
    session.on("stream", (stream) => {
      streams++;
      stream.once("close", () => streams--);
    });
    // A stream on which nothing happens is a watch; a connection without one is of no use to anybody.
    session.setTimeout(this.#limits.idleTimeoutMs, () => {
      if (streams === 0) this.#endIdle(session, socket);
    });
  }

  /** Says so, and does not wait long for the other side to take note. */
  #endIdle(session: http2.ServerHttp2Session, socket: Socket): void {
    session.close();
    const timer = setTimeout(() => socket.destroy(), this.#limits.stallTimeoutMs).unref();
    socket.once("close", () => clearTimeout(timer));
  }

  #socketOf(session: http2.Http2Session | undefined): Socket | undefined {
    return session === undefined ? undefined : this.#sessions.get(session);
  }
}

/**
 * Sees to it that nothing of a body is left when its answer is given: it would stand before the next request of its
 * connection for ever. Who reads it may give it up, by which Node otherwise gives the stream up and not the connection.
 * How long the rest may take is bounded by the time for a request.
 */
function readToItsEnd(request: http.IncomingMessage, response: WebResponse): void {
  request[Symbol.asyncIterator] = () => request.iterator({ destroyOnReturn: false });
  response.once("finish", () => {
    if (request.readableEnded) return;
    request.removeAllListeners("readable");
    // Not at once: until then the stream takes itself for one with readers.
    process.nextTick(() => void request.resume());
  });
}

/** As HTTP/2 counts them: RFC 9113, 6.5.2, without the 32 bytes that it adds for each. */
function headerBytes({ rawHeaders }: WebRequest): number {
  return rawHeaders.reduce((sum, text) => sum + text.length, 0);
}

function http1Options(limits: ServerLimits): http.ServerOptions {
  const { maxHeaderBytes, headerTimeoutMs, requestTimeoutMs, idleTimeoutMs } = limits;
  return {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headerTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: idleTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headerTimeoutMs / LOOKS_PER_TIMEOUT),
  };
}

function http2Options({ maxHeaderBytes }: ServerLimits): http2.ServerOptions {
  return {
    maxSessionMemory: SESSION_MEMORY_MIB,
    maxHeaderListPairs: MAX_HEADERS,
    settings: { enablePush: false, maxConcurrentStreams: STREAMS_PER_CONNECTION, maxHeaderListSize: maxHeaderBytes },
  };
}

function tlsOptions(tls: TlsMaterial, { headerTimeoutMs }: ServerLimits): https.ServerOptions {
  return { ...tls, ALPNProtocols: ["h2", "http/1.1"], minVersion: "TLSv1.2", handshakeTimeout: headerTimeoutMs };
}
