import * as fs from "node:fs";
import { createServer, type Server } from "node:net";
import type { Listening, ListenRequest } from "../streams.ts";
import { tolerant } from "./connect.ts";
import { DirectoryHandle } from "./directory-handle.ts";

/** Connections that wait to be accepted. A process that connects to a full queue stands still until there is room. */
const BACKLOG = 128;

/** Listens on a new Unix socket in a directory of this process's own. */
export async function listen({ directory, name, ownership, onConnection }: ListenRequest): Promise<Listening> {
  const handle = DirectoryHandle.open(directory);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
    onConnection(tolerant(socket)),
  );
  const path = handle.pathOf(name);
  const close = () => {
    // Removes the name, by the path that it was made by: the directory has to be open until then.
    server.close();
    handle[Symbol.dispose]();
  };
  try {
    await listening(server, path);
    if (ownership.uid !== undefined && ownership.gid !== undefined) fs.lchownSync(path, ownership.uid, ownership.gid);
    fs.chmodSync(path, ownership.mode);
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

async function listening(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  // It is not for a socket to keep a process alive: what is behind it is.
  server.listen({ path, backlog: BACKLOG }, resolve).unref();
  await promise;
  // From here on an error is a connection that could not be taken, for want of descriptors: its other end sees that.
  server.on("error", () => undefined);
}
