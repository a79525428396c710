/** How much a client may take, and how long. Everything that a client can hold on to is bounded here. */
export interface ServerLimits {
  /** Largest body of a request, after decompression. */
  readonly maxBodyBytes: number;
  /** Largest headers of a request. */
  readonly maxHeaderBytes: number;
  /** Connections of one door. */
  readonly maxConnections: number;
  /** Until the headers of a request are there: a TLS handshake and the first bytes of a connection included. */
  readonly headerTimeoutMs: number;
  /** Until all of a request is there. */
  readonly requestTimeoutMs: number;
  /** How long a connection may rest between two requests. */
  readonly idleTimeoutMs: number;
  /** How long a client may leave an answer that waits for it untouched. */
  readonly stallTimeoutMs: number;
}

/** Requests of one HTTP/2 connection at a time. More wait, on the client's side, as the protocol has it. */
export const STREAMS_PER_CONNECTION = 100;

/** Most headers of one request. */
export const MAX_HEADERS = 100;

/** What an HTTP/2 connection may make this process remember, in MiB: Node's own default, named here to be seen. */
export const SESSION_MEMORY_MIB = 10;
