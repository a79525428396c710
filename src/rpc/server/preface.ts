import type { Socket } from "node:net";

/**
 * What every HTTP/2 connection begins with: RFC 9113, 3.4. It was chosen so that no HTTP/1 server takes it for a
 * request, and no HTTP/1 request begins with its first five bytes, as `PRI` is reserved and never a method.
 */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Which protocol a connection speaks. */
export type Protocol = "http/1.1" | "h2";

/**
 * Looks at the first bytes of a connection, and gives them back to it, so that one port serves both protocols without
 * TLS to agree on one. Bytes may come one by one: it is looked again until they differ from the preface, or are all of it.
 *
 * @returns `undefined` where the connection ended, or said too little in time.
 */
export async function sniffProtocol(socket: Socket, timeoutMs: number): Promise<Protocol | undefined> {
  const settled = Promise.withResolvers<Protocol | undefined>();
  let seen: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk]);
    const found = protocolOf(seen);
    if (found === undefined) return;
    socket.pause();
    settled.resolve(found);
  };
  const onEnd = () => settled.resolve(undefined);
  const timer = setTimeout(onEnd, timeoutMs);
  socket.on("data", onData).once("end", onEnd).once("error", onEnd).once("close", onEnd);
  const found = await settled.promise;
  clearTimeout(timer);
  socket.off("data", onData).off("end", onEnd).off("error", onEnd).off("close", onEnd);
  if (found !== undefined) socket.unshift(seen);
  return found;
}

/** `undefined`: too little is there to tell. */
export function protocolOf(bytes: Uint8Array): Protocol | undefined {
  const length = Math.min(bytes.length, PREFACE.length);
  if (PREFACE.compare(bytes, 0, length, 0, length) !== 0) return "http/1.1";
  return length === PREFACE.length ? "h2" : undefined;
}
