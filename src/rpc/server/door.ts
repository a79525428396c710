import type { TlsOptions } from "node:tls";

/** Key, certificate and, where callers may show one, whose certificates are believed. */
export type TlsMaterial = Pick<TlsOptions, "key" | "cert" | "ca" | "requestCert" | "rejectUnauthorized">;

/** A way into the daemon. */
export type Door =
  /** A Unix socket. Who may open it is the file system's to say. */
  | { readonly kind: "socket"; readonly path: string }
  /** A port of this machine's own loopback, in the clear. */
  | { readonly kind: "loopback"; readonly address: string; readonly port: number }
  /** A port that others can reach. */
  | { readonly kind: "tls"; readonly address: string; readonly port: number; readonly tls: TlsMaterial };
