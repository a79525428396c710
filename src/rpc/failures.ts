import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { OpenRequest } from "../observability/requests.ts";
import { isWarderError, systemCodeOf, WarderError } from "../vm/error.ts";
import type { WireCode } from "../vm/error-codes.ts";
import { toWireError } from "../wire/error.ts";
import { openRequestKey } from "./gate/gate.ts";
import { asUnreadable } from "./unreadable.ts";

/**
 * Does the work of a call as a part of its request, so that all that is logged and traced meanwhile belongs to it, and
 * turns what is thrown into what the caller gets.
 */
export const requestInterceptor: Interceptor = (next) => async (request) => {
  const open = request.contextValues.get(openRequestKey);
  if (open === undefined) throw new TypeError("a call came to a service past the gate");
  try {
    const response = await open.within(() => next(request));
    if (response.stream) return { ...response, message: observed(response.message, open) };
    open.end();
    return response;
  } catch (reason) {
    throw failed(open, reason);
  }
};

/** Ends a request with what went wrong, and gives what its caller is told. */
export function failed(open: OpenRequest, reason: unknown): ConnectError {
  const error = toConnectError(reason);
  open.end({ error: reason, code: wireCodeOf(error) });
  return error;
}

/**
 * The error for a caller: Warder's own with their details, anything else as `internal` without a word of what it was, as
 * that may be anybody's.
 */
export function toConnectError(reason: unknown): ConnectError {
  if (isGone(reason)) return gone(reason);
  if (reason instanceof ConnectError) return asUnreadable(reason);
  if (isWarderError(reason) && reason.code !== "internal") return toWireError(reason);
  return toWireError(
    new WarderError("internal", {
      doing: isWarderError(reason) ? reason.doing : "serving the request",
      why: "something went wrong inside Warder",
      cure: "See the daemon's log, which has the whole of it under the same request id",
    }),
  );
}

/**
 * Whether the answer could not be written as nobody was there any more, which connect-node calls a defect, or hands on as
 * it is. What Warder itself could not write to says so in an error of its own.
 */
function isGone(reason: unknown): boolean {
  if (isWarderError(reason) || systemCodeOf(reason) !== "EPIPE") return false;
  return !(reason instanceof ConnectError) || reason.code === Code.Internal;
}

function gone(cause: unknown): ConnectError {
  return toWireError(new WarderError("aborted", { doing: "answering", why: "the caller went away", cause }));
}

/** `not_found` of `NotFound`. */
function wireCodeOf({ code }: ConnectError): WireCode {
  return (Code[code] ?? "Internal").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase() as WireCode;
}

async function* observed<T>(messages: AsyncIterable<T>, open: OpenRequest): AsyncIterable<T> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await open.within(() => iterator.next());
      if (done === true) return;
      yield value;
    }
  } catch (reason) {
    throw failed(open, reason);
  } finally {
    // The caller may have gone before the end.
    await iterator.return?.();
    open.end();
  }
}
