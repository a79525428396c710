import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request, of either protocol. */
export type WebRequest = IncomingMessage | Http2ServerRequest;

/** The answer to it. */
export type WebResponse = ServerResponse | Http2ServerResponse;

/** Gets every request. Never throws. */
export type WebHandler = (request: WebRequest, response: WebResponse) => void;

/** Answers with a document of Connect's form, whatever protocol the client speaks: it is not known to be one of ours. */
export function refuse(response: WebResponse, status: number, code: string, message: string): void {
  if (response.headersSent) return;
  const body = JSON.stringify({ code, message });
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}
