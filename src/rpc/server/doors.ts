import type { Config } from "../../config/config.ts";
import { isLoopback } from "../../config/form.ts";
import type { Host } from "../../host/host.ts";
import type { Endpoints } from "../../observability/endpoints.ts";
import { messageOf, WarderError } from "../../vm/error.ts";
import { endpointHandler, type Front } from "../front.ts";
import type { Door, TlsMaterial } from "./door.ts";
import type { ServerLimits } from "./limits.ts";
import { prepareSocketFile } from "./socket-file.ts";
import { WebServer } from "./web-server.ts";

/** What doors are opened with. */
export interface DoorDeps {
  readonly host: Pick<Host, "files" | "fifos" | "processes">;
  readonly config: Pick<Config, "server" | "tls" | "metrics">;
  /** Group that may use the Unix socket. */
  readonly gid: number | undefined;
  readonly front: Front;
  readonly endpoints: Endpoints;
}

/** Doors that are open. */
export interface OpenDoors extends AsyncDisposable {
  /** Paths and addresses. */
  readonly addresses: readonly string[];
  replaceCertificates(config: Pick<Config, "tls">): void;
  stopTaking(): void;
  drained(signal: AbortSignal): Promise<void>;
}

/**
 * Opens every door that is configured, or none.
 *
 * @throws {@link WarderError} `door-unusable`, `invalid-config` where certificates can not be used.
 */
export async function openDoors(deps: DoorDeps): Promise<OpenDoors> {
  const { host, config, front, endpoints } = deps;
  const limits = limitsOf(config);
  const opened = new AsyncDisposableStack();
  const servers: WebServer[] = [];
  const addresses: string[] = [];
  try {
    const { server, tls, metrics } = config;
    if (server.socket !== "none") {
      servers.push(opened.use(await openSocket(deps, limits, opened)));
      addresses.push(`unix:${server.socket}`);
    }
    if (server.tcp) {
      const door = tcpDoor(host, config);
      const web = opened.use(new WebServer(door, limits, front.handlerOf(door.kind)));
      servers.push(web);
      addresses.push(await listen(web, server.address, server.port, tls.mode === "file" ? "https" : "http"));
    }
    if (metrics.enabled) {
      const door: Door = { kind: "loopback", address: metrics.address, port: metrics.port };
      const web = opened.use(new WebServer(door, limits, endpointHandler(endpoints)));
      servers.push(web);
      addresses.push(`${await listen(web, metrics.address, metrics.port, "http")}/metrics`);
    }
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
  return {
    addresses,
    replaceCertificates(changed) {
      const material = tlsMaterial(host, changed);
      if (material !== undefined) for (const each of servers) each.replaceCertificates(material);
    },
    stopTaking() {
      for (const each of servers) each.stopTaking();
    },
    async drained(signal) {
      await Promise.all(servers.map((each) => each.drained(signal)));
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function openSocket(
  { host, config, gid, front }: DoorDeps,
  limits: ServerLimits,
  opened: AsyncDisposableStack,
): Promise<WebServer> {
  const file = opened.use(await prepareSocketFile(host, config.server.socket));
  const web = new WebServer({ kind: "socket", path: config.server.socket }, limits, front.handlerOf("socket"));
  try {
    await web.listen({ path: file.path });
    await file.publish(gid);
    return web;
  } catch (error) {
    await web[Symbol.asyncDispose]();
    throw WarderError.from(error, "door-unusable", `making the socket ${config.server.socket}`);
  }
}

async function listen(web: WebServer, host: string, port: number, scheme: string): Promise<string> {
  await web.listen({ host, port });
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${web.port}`;
}

/** The configuration has seen to it that what others can reach has TLS. */
function tcpDoor(host: Pick<Host, "files">, config: Pick<Config, "server" | "tls">): Door {
  const { address, port } = config.server;
  const tls = tlsMaterial(host, config);
  if (tls !== undefined) return { kind: "tls", address, port, tls };
  if (!isLoopback(address)) throw new TypeError(`${address} would be open to everybody in the clear`);
  return { kind: "loopback", address, port };
}

function tlsMaterial({ files }: Pick<Host, "files">, { tls }: Pick<Config, "tls">): TlsMaterial | undefined {
  const { mode, certFile, keyFile, clientCaFile, requireClientCertificate } = tls;
  if (mode !== "file" || certFile === undefined || keyFile === undefined) return undefined;
  const read = (path: string) => {
    try {
      return files.readText(path);
    } catch (error) {
      throw new WarderError("invalid-config", {
        doing: `reading ${path}`,
        why: messageOf(error),
        cure: "Set tls.cert_file, tls.key_file and tls.client_ca_file to files that are there",
        cause: error,
      });
    }
  };
  return {
    cert: read(certFile),
    key: read(keyFile),
    ...(clientCaFile === undefined
      ? {}
      : { ca: read(clientCaFile), requestCert: true, rejectUnauthorized: requireClientCertificate }),
  };
}

function limitsOf({ server }: Pick<Config, "server">): ServerLimits {
  const { maxBodyBytes, maxHeaderBytes, maxConnections, headerTimeoutMs, requestTimeoutMs } = server;
  const { idleTimeoutMs, stallTimeoutMs } = server;
  return {
    ...{ maxBodyBytes, maxHeaderBytes, maxConnections, idleTimeoutMs },
    headerTimeoutMs: Math.min(headerTimeoutMs, requestTimeoutMs),
    requestTimeoutMs,
    stallTimeoutMs,
  };
}
