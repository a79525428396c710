import * as fs from "node:fs";
import { connect as connectSocket, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WarderError } from "../../vm/error.ts";
import type { LocalService, OwnedSocket } from "../streams.ts";
import { DirectoryHandle } from "./directory-handle.ts";

/** Connects to a service that the caller trusts. */
export function connect(service: LocalService, signal: AbortSignal): Promise<Duplex> {
  return connected("unix" in service ? { path: service.unix } : service.tcp, signal);
}

let links = 0;

/**
 * A hard link holds on to what lies at a path, without following a link that lies there (link(2)). It is made where
 * nobody else can change it: what is looked at through it is what is connected to.
 */
export async function connectOwned(socket: OwnedSocket, signal: AbortSignal): Promise<Duplex> {
  using directory = DirectoryHandle.open(socket.through);
  const link = directory.pathOf(`to-${process.pid}-${++links}`);
  fs.linkSync(socket.path, link);
  try {
    refuseStranger(socket, link);
    return await connected({ path: link }, signal);
  } finally {
    fs.unlinkSync(link);
  }
}

function refuseStranger({ path, owner }: OwnedSocket, link: string): void {
  const found = fs.lstatSync(link);
  if (found.isSocket() && found.uid === owner) return;
  throw new WarderError("process-stranger", {
    doing: `connecting to ${path}`,
    why: found.isSocket() ? `user ${found.uid} has put a socket there, not ${owner}` : "what lies there is no socket",
    cure: "The VM's own process has changed its jail: treat it as hostile",
  });
}

async function connected(
  target: { path: string } | { host: string; port: number },
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  const socket = tolerant(connectSocket({ ...target, allowHalfOpen: true, noDelay: true }));
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const giveUp = () => reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  socket.once("error", reject).once("connect", () => resolve(socket));
  try {
    return await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
    socket.removeListener("error", reject);
  }
}

/** An error in a moment in which nobody listens to it ends the process. It stands in `errored` for who comes later. */
export function tolerant(socket: Socket): Socket {
  return socket.on("error", () => undefined);
}
