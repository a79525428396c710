import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { isWarderError, WarderError } from "../vm/error.ts";
import { toWireError } from "../wire/error.ts";

/** Told of a failure that no caller could have avoided, with everything that the caller is not told. */
export type FailureListener = (failure: { readonly procedure: string; readonly error: unknown }) => void;

/**
 * Turns what a service throws into what its caller gets: Warder's own errors with their details, anything else as
 * `internal` without a word of what it was, as that may be anybody's.
 */
export function failureInterceptor(onDefect: FailureListener): Interceptor {
  return (next) => async (request) => {
    const procedure = `${request.service.typeName}/${request.method.name}`;
    const toThrow = (reason: unknown) => toConnectError(reason, (error) => onDefect({ procedure, error }));
    try {
      const response = await next(request);
      if (!response.stream) return response;
      return { ...response, message: translated(response.message, toThrow) };
    } catch (reason) {
      throw toThrow(reason);
    }
  };
}

/** The error for a caller; `onDefect` gets what the caller does not. */
export function toConnectError(reason: unknown, onDefect: (reason: unknown) => void): ConnectError {
  if (reason instanceof ConnectError) return reason;
  if (isWarderError(reason) && reason.code !== "internal") return toWireError(reason);
  onDefect(reason);
  return toWireError(
    new WarderError("internal", {
      doing: isWarderError(reason) ? reason.doing : "serving the request",
      why: "something went wrong inside Warder",
      cure: "See the daemon's log, which has the whole of it under the same request id",
    }),
  );
}

async function* translated<T>(
  messages: AsyncIterable<T>,
  toThrow: (reason: unknown) => ConnectError,
): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (reason) {
    throw toThrow(reason);
  }
}
