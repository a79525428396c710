import type { PeerCertificate, TLSSocket } from "node:tls";
import { createContextKey } from "@connectrpc/connect";
import type { Connection } from "../../access/local-peer.ts";
import type { Door } from "../server/door.ts";
import type { WebRequest } from "../server/exchange.ts";

/** What is known of a request before anything of it is believed. */
export interface Arrival {
  readonly door: Door["kind"];
  /** Both ends, where it came over TCP. */
  readonly connection?: Connection;
  readonly certificate?: ShownCertificate;
  /** What is full, where the daemon has no room for the request. */
  readonly isTooMany?: "requests" | "streams";
}

/** A certificate that a caller showed. */
export interface ShownCertificate {
  readonly content: PeerCertificate;
  /** Why it is not believed; absent where it is. */
  readonly problem?: string;
}

export const arrivalKey = createContextKey<Arrival | undefined>(undefined, { description: "how the request came" });

/** What a request's connection tells. */
export function arrivalOf(request: WebRequest, door: Door["kind"]): Arrival {
  const { socket } = request;
  return { door, ...connectionOf(request), ...(door === "tls" ? certificateOf(socket as TLSSocket) : {}) };
}

/** One object for each connection, however many requests come over it: what is known of it is looked up but once. */
const connections = new WeakMap<object, Connection>();

function connectionOf(request: WebRequest): { connection?: Connection } {
  // HTTP/2 shows each stream another face of its socket.
  const carrier = ("stream" in request ? request.stream.session : undefined) ?? request.socket;
  const known = connections.get(carrier) ?? endsOf(request.socket);
  if (known === undefined) return {};
  connections.set(carrier, known);
  return { connection: known };
}

function endsOf(socket: WebRequest["socket"]): Connection | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  const isKnown = localAddress !== undefined && localPort !== undefined;
  if (!isKnown || remoteAddress === undefined || remotePort === undefined) return undefined;
  return { localAddress, localPort, remoteAddress, remotePort };
}

function certificateOf(socket: TLSSocket): { certificate?: ShownCertificate } {
  const content = socket.getPeerCertificate();
  // Node says that there is none by an object without members.
  if (content === null || Object.keys(content).length === 0) return {};
  if (socket.authorized) return { certificate: { content } };
  return {
    certificate: { content, problem: String(socket.authorizationError ?? "it is not signed by a known authority") },
  };
}
