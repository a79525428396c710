import http from "node:http";
import { create } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import type { RawRequest, TypedRequest } from "./requests.ts";
import { isPrescribed, problemOf, statusProblem } from "./verdict.ts";

/** How long a call is waited for that goes on for as long as its caller likes. */
const LONG_MS = 3;
/** By then everything has an answer, on the busiest machine. */
const TIMEOUT_MS = 30_000;
/** Messages of a stream that are looked at. */
const MESSAGES = 5;

type Loose = Readonly<Record<string, (request: unknown, options: object) => unknown>>;

/**
 * Makes a call, and leaves it where it goes on.
 *
 * @returns What is wrong with its answer.
 */
export async function callTyped(transport: Transport, request: TypedRequest): Promise<string | undefined> {
  const { method, messages } = request;
  const call = (createClient(method.parent, transport) as Loose)[method.localName];
  const left = new AbortController();
  const isLong = method.methodKind !== "unary" || method.name === "WaitVm";
  const timer = setTimeout(() => left.abort(), isLong ? LONG_MS : TIMEOUT_MS);
  try {
    const inits = messages.map((message) => create(method.input, message));
    const options = { signal: left.signal };
    const isStream = method.methodKind === "bidi_streaming" || method.methodKind === "client_streaming";
    const answer = call?.(isStream ? each(inits) : inits[0], options);
    await (method.methodKind === "unary" ? answer : take(answer as AsyncIterable<unknown>));
    return undefined;
  } catch (error) {
    if (left.signal.aborted) return isLong ? undefined : `no answer within ${TIMEOUT_MS} ms`;
    return problemOf(error);
  } finally {
    clearTimeout(timer);
    left.abort();
  }
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function take(messages: AsyncIterable<unknown>): Promise<void> {
  let count = 0;
  for await (const _message of messages) if (++count === MESSAGES) return;
}

/**
 * Sends bytes.
 *
 * @returns What is wrong with the answer. That the connection was ended is nothing wrong: some bytes deserve it.
 */
export function sendRaw(
  url: string,
  { path, contentType, body }: RawRequest,
  agent: http.Agent,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = { "content-length": body.length, ...(contentType === "" ? {} : { "content-type": contentType }) };
    const request = http.request(url + path, { method: "POST", headers, agent }, (response) => {
      let text = "";
      // A stream that was opened goes on for as long as its caller likes.
      const timer = setTimeout(() => request.destroy(), LONG_MS * 10);
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text = (text + chunk).slice(0, 10_000);
      });
      response.once("close", () => {
        clearTimeout(timer);
        resolve(statusProblem(response.statusCode ?? 0, text) ?? trailerProblem(response, text));
      });
    });
    const isLong = /Wait|Watch|Stream/.test(path);
    request.setTimeout(isLong ? LONG_MS * 10 : TIMEOUT_MS, () => {
      resolve(isLong ? undefined : `no answer within ${TIMEOUT_MS} ms`);
      request.destroy();
    });
    request.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "ECONNREFUSED" ? "the daemon is gone" : undefined);
    });
    request.end(body);
  });
}

/** Statuses of gRPC that say that the daemon did something wrong: unknown, internal, data loss. */
const defects: ReadonlySet<string> = new Set(["2", "13", "15"]);

/** gRPC and Connect's streams say how it went after their answer, gRPC-Web in its body. */
function trailerProblem({ headers, trailers }: http.IncomingMessage, text: string): string | undefined {
  const status = trailers["grpc-status"] ?? headers["grpc-status"] ?? /grpc-status: ?(\d+)/.exec(text)?.[1] ?? "0";
  const isWrong = defects.has(String(status)) || /"code": ?"(internal|unknown|data_loss)"/.test(text);
  if (isWrong && isPrescribed(text + trailers["grpc-message"])) return undefined;
  return isWrong ? `status ${status}: ${trailers["grpc-message"] ?? ""} ${text}` : undefined;
}
