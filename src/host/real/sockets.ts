import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { WarderError } from "../../vm/error.ts";
import type { HostPath } from "../../vm/path.ts";
import { Deadline } from "../deadline.ts";
import type { HttpClient, HttpRequest, HttpResponse, Sockets } from "../host.ts";

/** `sun_path` holds 108 bytes with its NUL. Node cuts longer paths off without a word. */
export const SOCKET_PATH_MAX_BYTES = 107;
const BODY_LIMIT_BYTES = 1024 * 1024;

/** The Unix sockets of this machine. */
export const realSockets: Sockets = {
  http(socketPath) {
    refuseLongPath(socketPath);
    // Firecracker serves ten connections at most, and one request at a time.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    return { request: (request) => exchange(agent, socketPath, request), close: () => agent.destroy() } as HttpClient;
  },
};

function refuseLongPath(path: HostPath): void {
  const length = Buffer.byteLength(path);
  if (length <= SOCKET_PATH_MAX_BYTES) return;
  throw new WarderError("socket-path-too-long", {
    doing: `connecting to ${path}`,
    why: `the path has ${length} bytes, and a Unix socket's has at most ${SOCKET_PATH_MAX_BYTES}`,
    cure: "Use a shorter chroot base, VM id or file name of Firecracker",
  });
}

async function exchange(agent: Agent, socketPath: HostPath, request: HttpRequest): Promise<HttpResponse> {
  using deadline = new Deadline(request.timeoutMs);
  const signal = request.signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, request.signal]);
  const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
  const headers = {
    Accept: "application/json",
    // Firecracker takes no chunked bodies, which is what Node sends where it is not told a length.
    ...(body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": body.length }),
  };
  try {
    return await new Promise((resolve, reject) => {
      const outgoing = httpRequest(
        { agent, socketPath, method: request.method, path: request.path, headers, signal },
        (response) => collect(response).then(resolve, reject),
      );
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  } catch (error) {
    // Node wraps the reason of an abort; the caller wants the reason itself.
    signal.throwIfAborted();
    throw error;
  }
}

function collect(response: IncomingMessage): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_LIMIT_BYTES) response.destroy(new Error(`the answer has more than ${BODY_LIMIT_BYTES} bytes`));
      chunks.push(chunk);
    });
    response.once("error", reject);
    response.once("end", () =>
      resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }),
    );
  });
}
