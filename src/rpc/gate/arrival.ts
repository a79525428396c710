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
  return { door, ...connectionOf(socket), ...(door === "tls" ? certificateOf(socket as TLSSocket) : {}) };
}

function connectionOf(socket: WebRequest["socket"]): { connection?: Connection } {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  const isKnown = localAddress !== undefined && localPort !== undefined;
  if (!isKnown || remoteAddress === undefined || remotePort === undefined) return {};
  return { connection: { localAddress, localPort, remoteAddress, remotePort } };
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
