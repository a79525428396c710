import type * as z from "zod";
import type { HttpClient, HttpResponse, Sockets } from "../host/host.ts";
import { messageOf, systemCodeOf, WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import { fault } from "./answers.ts";
import { type Operation, operationName } from "./operations.ts";

/** Most bytes of a request's body that Firecracker takes unless `--http-api-max-payload-size` says otherwise. */
export const BODY_LIMIT_BYTES = 51_200;

/** How one call is to be made. */
export interface CallOptions {
  /** Instead of the operation's own deadline. Covers the wait for requests that are before it. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** One request, ready to be sent. */
export interface Call {
  readonly operation: Operation;
  /** Last part of the path, of operations that have one. */
  readonly id?: string;
  readonly body?: unknown;
}

/**
 * One connection to one Firecracker. Opened at the first call, kept between calls, and dropped when what was read from
 * it was not the protocol: the rest of a request that Firecracker gave up is then read by it as further requests.
 */
export class Connection {
  readonly socketPath: HostPath;
  readonly #sockets: Sockets;
  readonly #bodyLimitBytes: number;
  #http: HttpClient | undefined;

  constructor(sockets: Sockets, socketPath: HostPath, bodyLimitBytes = BODY_LIMIT_BYTES) {
    this.#sockets = sockets;
    this.socketPath = socketPath;
    this.#bodyLimitBytes = bodyLimitBytes;
  }

  /** Closes the connection; the next call opens another. */
  close(): void {
    this.#http?.close();
    this.#http = undefined;
  }

  /**
   * Sends a request whose answer is empty.
   *
   * @throws {@link WarderError} `api-fault` where Firecracker refuses, `api-protocol` where the answer is none,
   * `api-unreachable`, `deadline-exceeded`, `aborted`; `invalid-argument` before anything is sent.
   */
  async send(call: Call, options: CallOptions = {}): Promise<void> {
    await this.#exchange(call, options);
  }

  /** Sends a request and parses its answer. Throws as {@link send} does. */
  async ask<Answer extends z.ZodType>(
    call: Call,
    answer: Answer,
    options: CallOptions = {},
  ): Promise<z.output<Answer>> {
    const response = await this.#exchange(call, options);
    const parsed = answer.safeParse(parseJson(response.body));
    if (parsed.success) return parsed.data;
    throw this.#protocolError(call, `it answered ${quote(response.body)}`, parsed.error);
  }

  async #exchange(call: Call, options: CallOptions): Promise<HttpResponse> {
    refuseOddId(call);
    this.#refuseLargeBody(call);
    const response = await this.#request(call, options);
    if (response.status >= 200 && response.status < 300) return response;
    throw this.#refusal(call, response);
  }

  async #request(call: Call, options: CallOptions): Promise<HttpResponse> {
    const { operation, id, body } = call;
    try {
      this.#http ??= this.#sockets.http(this.socketPath);
      return await this.#http.request({
        method: operation.method,
        path: id === undefined ? operation.path : `${operation.path}/${id}`,
        ...(body === undefined ? {} : { body }),
        timeoutMs: options.timeoutMs ?? operation.timeoutMs,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    } catch (error) {
      throw this.#failure(call, error, options);
    }
  }

  #failure(call: Call, error: unknown, { signal, timeoutMs = call.operation.timeoutMs }: CallOptions): WarderError {
    const doing = this.#doing(call);
    if (signal?.aborted === true) return WarderError.from(error, "aborted", doing);
    const known = WarderError.from(error, "api-unreachable", doing);
    if (known === error) return known;
    if (known.code === "deadline-exceeded") {
      return new WarderError(known.code, { doing, why: `there was no answer within ${timeoutMs} ms`, cause: error });
    }
    if (known.code !== "api-unreachable") return known;
    // Whatever has no errno comes from reading the answer: it was no HTTP, or had no end.
    if (systemCodeOf(error) === undefined) return this.#protocolError(call, messageOf(error), error);
    return new WarderError("api-unreachable", {
      doing,
      why: messageOf(error),
      cure: "Look whether Firecracker still runs: its exit status and log say why it ended",
      cause: error,
    });
  }

  /** The error shapes: an application's fault, and the protocol's own, after which the connection is of no use. */
  #refusal(call: Call, response: HttpResponse): WarderError {
    const refused = fault.safeParse(parseJson(response.body));
    if (refused.success) {
      return new WarderError("api-fault", { doing: this.#doing(call), why: readable(refused.data.fault_message) });
    }
    if (response.status === 503) {
      this.close();
      return new WarderError("api-unreachable", {
        doing: this.#doing(call),
        why: `it answered ${quote(protocolText(response.body))}`,
        cure: "Close other clients of this socket: Firecracker serves ten connections",
      });
    }
    return this.#protocolError(call, `it answered status ${response.status}: ${quote(protocolText(response.body))}`);
  }

  #protocolError(call: Call, why: string, cause?: unknown): WarderError {
    this.close();
    return new WarderError("api-protocol", {
      doing: this.#doing(call),
      why,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #doing({ operation, id }: Call): string {
    return `sending ${operationName(operation)}${id === undefined ? "" : `/${id}`} to ${this.socketPath}`;
  }

  #refuseLargeBody({ operation, body }: Call): void {
    const bytes = body === undefined ? 0 : Buffer.byteLength(JSON.stringify(body));
    if (bytes <= this.#bodyLimitBytes) return;
    throw new WarderError("invalid-argument", {
      doing: `sending ${operationName(operation)} to Firecracker`,
      why: `its body has ${bytes} bytes, and Firecracker takes ${this.#bodyLimitBytes}`,
      cure: "Send less, or start Firecracker with a larger --http-api-max-payload-size",
    });
  }
}

/** Ids stand in paths of the API, where Firecracker takes these characters only: a hyphen is refused. */
function refuseOddId({ operation, id }: Call): void {
  if (id === undefined || /^[A-Za-z0-9_]{1,64}$/.test(id)) return;
  throw new WarderError("invalid-argument", {
    doing: `sending ${operationName(operation)} to Firecracker`,
    why: "the device's id is wrong",
    fields: [{ field: "id", problem: `${JSON.stringify(id)} must be 1 to 64 letters, digits and underscores` }],
  });
}

/** `undefined` where it is not JSON, which no schema here accepts. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The text of a protocol error. It looks like JSON, `{ "error": "…" }`, but is none: a bare newline stands in the
 * string (1.12.1).
 */
function protocolText(body: string): string {
  const match = /^\s*\{\s*"error"\s*:\s*"([\s\S]*)"\s*\}\s*$/.exec(body);
  return (match?.[1] ?? body).replaceAll("\n", " ");
}

function quote(text: string): string {
  return JSON.stringify(readable(text, 300));
}

/** Bounded, and without what could steer a terminal: the other side of the socket may be under a guest's control. */
function readable(text: string, most = 2000): string {
  const safe = text.slice(0, most + 1).replaceAll(/[\p{Cc}\p{Cf}]/gu, " ");
  return safe.length > most ? `${safe.slice(0, most)}…` : safe;
}
