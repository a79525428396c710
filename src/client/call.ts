import { fromWireError } from "../wire/error.ts";

/** How a call is given up. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until the daemon, and this client, give it up. */
  readonly timeoutMs?: number;
}

/** Makes a call; what it fails with is in the words of the library. */
export async function asking<T>(doing: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromWireError(error, doing);
  }
}

/** Listens to a stream; what it fails with is in the words of the library. */
export async function* telling<T>(doing: string, call: () => AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* call();
  } catch (error) {
    throw fromWireError(error, doing);
  }
}
