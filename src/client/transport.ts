import type * as http2 from "node:http2";
import { connect } from "node:net";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";

/** Where a daemon is, and how its caller is known there. */
export type DaemonAddress =
  /** A Unix socket of this machine: `/run/warder/warder.sock`. */
  | { readonly socket: string; readonly token?: string }
  /** `https://host:8080`, or `http://localhost:8080`. */
  | { readonly url: string; readonly token?: string; readonly tls?: ClientTls };

/** What a client shows and believes, PEM each. */
export interface ClientTls {
  /** Authorities whose certificates daemons are known by. Default: those of the system. */
  readonly ca?: string;
  /** The caller's own certificate, and its key. */
  readonly cert?: string;
  readonly key?: string;
}

/** A connection that can be ended. */
export interface OpenTransport {
  readonly transport: Transport;
  close(): void;
}

/** Over a Unix socket a request is for no host in particular. */
const SOCKET_URL = "http://warder";

/** Opens a connection, with the first call and again where it was lost; all calls share one. */
export function openTransport(address: DaemonAddress): OpenTransport {
  const baseUrl = "socket" in address ? SOCKET_URL : address.url;
  const sessions = new Http2SessionManager(baseUrl, undefined, sessionOptions(address));
  const interceptors = address.token === undefined ? [] : [bearer(address.token)];
  const transport = createConnectTransport({ baseUrl, httpVersion: "2", sessionManager: sessions, interceptors });
  return { transport, close: () => sessions.abort() };
}

function sessionOptions(address: DaemonAddress): http2.ClientSessionOptions | http2.SecureClientSessionOptions {
  if ("socket" in address) return { createConnection: () => connect(address.socket) };
  return { ...address.tls };
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
