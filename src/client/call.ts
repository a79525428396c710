import { WarderError } from "../vm/error.ts";
import { fromWireError } from "../wire/error.ts";

/** How a call is given up. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until the daemon, and this client, give it up. */
  readonly timeoutMs?: number;
}

/** Makes a call; what it fails with is in the words of the library. */
export async function asking<T>(
  doing: string,
  options: CallOptions,
  call: (options: CallOptions) => Promise<T>,
): Promise<T> {
  try {
    return await call(options);
  } catch (error) {
    throw failureOf(error, doing, options);
  }
}

/** Listens to a stream; what it fails with is in the words of the library. */
export async function* telling<T>(
  doing: string,
  options: CallOptions,
  call: (options: CallOptions) => AsyncIterable<T>,
): AsyncGenerator<T, void> {
  try {
    yield* call(options);
  } catch (error) {
    throw failureOf(error, doing, options);
  }
}

/** A caller that gave up knows best why. */
function failureOf(error: unknown, doing: string, { signal }: CallOptions): WarderError {
  const failure = fromWireError(error, doing);
  if (signal?.aborted !== true || failure.code !== "aborted") return failure;
  return WarderError.from(signal.reason, "aborted", doing);
}
