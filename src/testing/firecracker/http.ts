/**
 * The HTTP of Firecracker's API: a small server of its own (micro_http) with a window of 1024 bytes. After a mistake in
 * a header, or a body that is too large, the connection stays in its headers and never answers well again.
 */

/** One request. */
export interface HttpRequest {
  readonly method: "Get" | "Put" | "Patch" | "Delete";
  /** As sent, with its query string: nothing strips it. */
  readonly uri: string;
  readonly body: Buffer | undefined;
}

/** What a piece of input led to. */
export type HttpEvent =
  | { readonly kind: "request"; readonly request: HttpRequest }
  | { readonly kind: "continue" }
  | { readonly kind: "error"; readonly message: string };

interface Pending {
  readonly method: HttpRequest["method"];
  readonly uri: string;
  length: number;
  expectsContinue: boolean;
}

const WINDOW_BYTES = 1024;

class HttpError extends Error {
  override readonly name = "HttpError";
}

/** Reads the requests of one connection. */
export class HttpReader {
  readonly #limitBytes: number;
  readonly #methods: ReadonlyMap<string, HttpRequest["method"]>;
  #buffer: Buffer = Buffer.alloc(0);
  #state: "request line" | "headers" | "body" = "request line";
  #pending: Pending | undefined;

  constructor(limitBytes: number, allowsDelete: boolean) {
    this.#limitBytes = limitBytes;
    this.#methods = new Map([
      ["GET", "Get"],
      ["PUT", "Put"],
      ["PATCH", "Patch"],
      ...(allowsDelete ? ([["DELETE", "Delete"]] as const) : []),
    ]);
  }

  /** Takes input as it comes. An error drops the requests that came before it in the same window. */
  push(input: Buffer): HttpEvent[] {
    const events: HttpEvent[] = [];
    let rest = input;
    while (rest.length > 0) {
      const room = this.#state === "body" ? rest.length : WINDOW_BYTES - this.#buffer.length;
      events.push(...this.#pushWindow(rest.subarray(0, room)));
      rest = rest.subarray(room);
    }
    return events;
  }

  #pushWindow(window: Buffer): HttpEvent[] {
    this.#buffer = Buffer.concat([this.#buffer, window]);
    const events: HttpEvent[] = [];
    try {
      for (let event = this.#next(); event !== undefined; event = this.#next()) events.push(event);
      return events;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#buffer = Buffer.alloc(0);
      return [{ kind: "error", message: error.message }];
    }
  }

  /** The next request, when all of it has come. */
  #next(): HttpEvent | undefined {
    if (this.#state === "request line") {
      const line = this.#takeLine("Invalid request.");
      if (line === undefined) return undefined;
      this.#pending = this.#requestLine(line);
      this.#state = "headers";
    }
    const pending = this.#pending;
    if (pending === undefined) return undefined;
    if (this.#state === "headers") {
      if (!this.#takeHeaders(pending)) return undefined;
      this.#state = "body";
      if (pending.expectsContinue && pending.length > 0) return { kind: "continue" };
    }
    if (this.#buffer.length < pending.length) return undefined;
    return { kind: "request", request: this.#finish(pending) };
  }

  #finish({ method, uri, length }: Pending): HttpRequest {
    const body = length > 0 ? Buffer.from(this.#buffer.subarray(0, length)) : undefined;
    this.#buffer = this.#buffer.subarray(length);
    this.#state = "request line";
    return { method, uri, body };
  }

  #takeLine(tooLong: string): Buffer | undefined {
    const end = this.#buffer.indexOf("\r\n");
    if (end === -1) {
      if (this.#buffer.length >= WINDOW_BYTES) throw new HttpError(tooLong.replace("{}", this.#buffer.toString()));
      return undefined;
    }
    const line = this.#buffer.subarray(0, end);
    this.#buffer = this.#buffer.subarray(end + 2);
    return line;
  }

  #requestLine(line: Buffer): Pending {
    const [method = "", uri, version, ...more] = splitLatin1(line);
    if (uri === undefined || version === undefined) throw new HttpError("Invalid request.");
    const known = this.#methods.get(method);
    if (known === undefined) throw new HttpError("Invalid HTTP Method: Unsupported HTTP method.");
    if (uri === "") throw new HttpError("Invalid URI: Empty URI not allowed.");
    const text = decodeUtf8(Buffer.from(uri, "latin1"));
    if (text === undefined) throw new HttpError("Invalid URI: Cannot parse URI as UTF-8.");
    if (!/^HTTP\/1\.[01]$/.test([version, ...more].join(" "))) {
      throw new HttpError("Invalid HTTP Version: Unsupported HTTP version.");
    }
    return { method: known, uri: text, length: 0, expectsContinue: false };
  }

  /** Whether the empty line was reached. */
  #takeHeaders(pending: Pending): boolean {
    for (;;) {
      const line = this.#takeLine("Invalid header. Reason: Invalid content length. Header: {}");
      if (line === undefined) return false;
      if (line.length === 0) break;
      readHeader(line.toString(), pending);
    }
    if (pending.length <= this.#limitBytes) return true;
    const limit = `is larger than the limit of ${this.#limitBytes} allowed by server.`;
    throw new HttpError(`Request payload with size ${pending.length} ${limit}`);
  }
}

function splitLatin1(line: Buffer): string[] {
  return line.toString("latin1").split(" ");
}

function decodeUtf8(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  return Buffer.from(text).equals(bytes) ? text : undefined;
}

function readHeader(line: string, pending: Pending): void {
  const colon = line.indexOf(":");
  if (colon === -1) {
    throw new HttpError(`Invalid header. Reason: Header is incorrectly formatted. Key: ${line}`);
  }
  const name = line.slice(0, colon).trim().toLowerCase();
  const value = line.slice(colon + 1).trim();
  if (name === "content-length") pending.length = contentLength(value);
  else if (name === "expect") pending.expectsContinue = value === "100-continue";
  else if (name === "accept-encoding") checkEncoding(value);
}

function contentLength(value: string): number {
  if (/^\d+$/.test(value) && Number(value) <= 0xffff_ffff) return Number(value);
  throw new HttpError(`Invalid header. Reason: Invalid value. Key:Content-Length; Value: ${value}`);
}

/** Answers are never encoded, so forbidding the plain form is refused. */
function checkEncoding(value: string): void {
  if (value === "") throw new HttpError("Invalid request.");
  const forbidding = value.split(",").find((part) => /^\s*(identity|\*);q=0\s*$/.test(part));
  if (forbidding === undefined) return;
  throw new HttpError(`Invalid header. Reason: Invalid value. Key:Accept-Encoding; Value:${value}`);
}

/** What is sent back. */
export interface HttpReply {
  readonly status: 200 | 204 | 400 | 413;
  readonly body?: string;
  /** The request used something deprecated. */
  readonly deprecated?: boolean;
}

export function formatReply({ status, body, deprecated }: HttpReply): string {
  return [
    `HTTP/1.1 ${status} `,
    "Server: Firecracker API",
    "Connection: keep-alive",
    ...(deprecated === true ? ["Deprecation: true"] : []),
    ...(body === undefined ? [] : ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`]),
    "",
    body ?? "",
  ].join("\r\n");
}

/** An error of the protocol: its body has a bare newline in a string, so it is not JSON. */
export function formatProtocolError(message: string): string {
  const end = "All previous unanswered requests will be dropped.";
  return formatReply({ status: 400, body: `{ "error": "${message}\n${end}" }` });
}

export const CONTINUE = "HTTP/1.1 100 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";

const TOO_MANY = '{ "error": "Too many open connections" }';
export const SERVICE_UNAVAILABLE = `HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: ${TOO_MANY.length}\r\n\r\n${TOO_MANY}`;
