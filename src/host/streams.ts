import type { Duplex } from "node:stream";
import type { HostPath } from "../vm/path.ts";
import type { Ownership } from "./host.ts";

/** A Unix socket in a place that its owner can change at any time. */
export interface OwnedSocket {
  /** Its directory must not be reached through a place that others can change; its own name may be anything's. */
  readonly path: HostPath;
  /** Whose it must be: nobody else can have bound a socket that this user owns. */
  readonly owner: number;
  /** A directory of this process's own on the same file system, in which the socket is held on to by a hard link. */
  readonly through: HostPath;
}

/** A Unix socket that is listened on. */
export interface ListenRequest {
  /** A directory that nobody else can change or, until the socket has its owner and mode, reach. Its path may be long. */
  readonly directory: HostPath;
  readonly name: string;
  readonly ownership: Ownership;
  /** Gets each connection, from which nothing has been read. */
  readonly onConnection: (stream: Duplex) => void;
}

/** A socket that is listened on. */
export interface Listening {
  /** Takes no more connections and removes the socket's name; those that there are go on. Repeating it does nothing. */
  close(): void;
}

/** A service of this machine. */
export type LocalService =
  | { readonly unix: HostPath }
  | { readonly tcp: { readonly host: string; readonly port: number } };

/** Streams within this machine: Unix sockets, and TCP. They are half-open: each direction ends by itself. */
export interface Streams {
  /**
   * Connects to a socket in an untrusted place: to the very one that lay there when it was found to be a socket of its
   * owner's. No link is followed, however fast somebody puts one in its place. Its path may be long.
   *
   * @throws {@link WarderError} `process-stranger` where something else lies there; system errors otherwise.
   */
  connectOwned(socket: OwnedSocket, signal: AbortSignal): Promise<Duplex>;
  /** Connects to a service that the caller trusts. */
  connect(service: LocalService, signal: AbortSignal): Promise<Duplex>;
  /** Listens on a new Unix socket. A name that is there is refused with EADDRINUSE. */
  listen(request: ListenRequest): Promise<Listening>;
}
