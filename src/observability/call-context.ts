import { AsyncLocalStorage } from "node:async_hooks";
import type { Context } from "@opentelemetry/api";

/** What is known of the call that some code runs for. Every log line written meanwhile carries it. */
export interface CallContext {
  /** Of the caller's request: its own `x-request-id`, or one that was made for it. */
  readonly requestId?: string;
  readonly vmId?: string;
  /** Of the span that is open, where spans are recorded: 32 and 16 hexadecimal digits. */
  readonly traceId?: string;
  readonly spanId?: string;
  /** That span, as the tracer knows it: the parent of the next. */
  readonly tracing?: Context;
}

const nothing: CallContext = Object.freeze({});
const storage = new AsyncLocalStorage<CallContext>();

/** The context of the code that runs now; empty where it runs for no call. */
export function currentContext(): CallContext {
  return storage.getStore() ?? nothing;
}

/** Does `work`, and all that it starts, with more known of its context. */
export function withContext<T>(addition: CallContext, work: () => T): T {
  return storage.run({ ...currentContext(), ...addition }, work);
}

/** Does `work` for no call at all, whatever call it was begun by. */
export function withoutContext<T>(work: () => T): T {
  return storage.run(nothing, work);
}
