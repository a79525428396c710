import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type InstanceInfo, instanceInfo } from "./answers.ts";

/** Firecracker's answer has some hundred bytes. */
const BODY_LIMIT_BYTES = 16 * 1024;

/**
 * Asks a Firecracker who it is, over a connection that is there already, and ends it. For looks at VMs whose sockets are
 * not to be trusted: who connects decides what to.
 *
 * @throws the signal's reason, or an error that says what is wrong with the answer.
 */
export async function instanceInfoOver(stream: Duplex, signal: AbortSignal): Promise<InstanceInfo> {
  try {
    const { status, body } = await exchange(stream, signal);
    const parsed = instanceInfo.safeParse(parseJson(body));
    if (status !== 200 || !parsed.success) throw new Error(`it answered status ${status}, and not who it is`);
    return parsed.data;
  } finally {
    stream.destroy();
  }
}

function exchange(stream: Duplex, signal: AbortSignal): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    const request = httpRequest({
      createConnection: () => stream,
      path: "/",
      headers: { Accept: "application/json" },
      signal,
    });
    request.once("error", reject);
    request.once("response", (response) => {
      collect(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    request.end();
  });
}

async function collect(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT_BYTES) throw new Error(`it answered more than ${BODY_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** `undefined` where it is not JSON, which no schema here accepts. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
