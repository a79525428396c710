import { isIP } from "node:net";
import { type HostPath, pathProblem } from "./path.ts";

/** Where a connection of the guest's is led to. */
export type VsockTarget =
  | { readonly unix: HostPath }
  /** `host` is a loopback address: a guest that is to reach more has a network. */
  | { readonly tcp: { readonly host: string; readonly port: number } };

/** Reads `unix:/path/of/socket` or `tcp:127.0.0.1:8080`; the problem, as text, where it is neither. */
export function parseVsockTarget(text: string): VsockTarget | string {
  if (text.startsWith("unix:")) return unixTarget(text.slice("unix:".length));
  if (text.startsWith("tcp:")) return tcpTarget(text.slice("tcp:".length));
  return "must be unix:/path/of/socket or tcp:127.0.0.1:PORT";
}

/** The text that {@link parseVsockTarget} reads. */
export function formatVsockTarget(target: VsockTarget): string {
  if ("unix" in target) return `unix:${target.unix}`;
  const { host, port } = target.tcp;
  return `tcp:${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** `sun_path` holds 108 bytes with its NUL, and Node cuts off what is longer. */
const SOCKET_PATH_MAX_BYTES = 107;

function unixTarget(path: string): VsockTarget | string {
  const problem = pathProblem(path);
  if (problem !== undefined) return `of a Unix socket ${problem}`;
  if (Buffer.byteLength(path) <= SOCKET_PATH_MAX_BYTES) return { unix: path as HostPath };
  return `must be at most ${SOCKET_PATH_MAX_BYTES} bytes of path`;
}

function tcpTarget(text: string): VsockTarget | string {
  const [, host = "", digits = ""] = /^\[?([0-9a-f.:]+?)\]?:(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535) return "must end with a TCP port, such as tcp:127.0.0.1:8080";
  const isLoopback = isIP(host) === 4 ? host.startsWith("127.") : host === "::1";
  return isLoopback ? { tcp: { host, port } } : "must be a loopback address: 127.0.0.1 or [::1]";
}
