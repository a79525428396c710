import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Caller } from "../access/caller.ts";
import { WarderError } from "../vm/error.ts";
import type { HostPort } from "./host-port.ts";

/** A call that was let in. */
export interface Call {
  readonly caller: Caller;
  /** The host as the caller may see it. */
  readonly host: HostPort;
  /** Fires when the call must end though its caller still waits: its time is up, its token was revoked. */
  readonly cut: AbortSignal;
}

/** Set before a service is called. */
export const callKey = createContextKey<Call | undefined>(undefined, { description: "the call that was let in" });

/** The call that a service was called by. */
export function callOf({ values }: HandlerContext): Call {
  const call = values.get(callKey);
  if (call === undefined) throw new TypeError("a call came to a service without its caller having been looked at");
  return call;
}

/** The host as the caller of this call may see it. */
export function hostOf(context: HandlerContext): HostPort {
  return callOf(context).host;
}

/**
 * A signal for the core: fires when the caller gives up, its deadline passes, it may not go on or the daemon must stop,
 * with the reason in Warder's own terms.
 */
export function signalOf(context: HandlerContext, doing: string): AbortSignal {
  const own = new AbortController();
  for (const signal of [context.signal, callOf(context).cut]) {
    const give = () => own.abort(toReason(signal.reason, doing));
    if (signal.aborted) give();
    else signal.addEventListener("abort", give, { once: true });
  }
  return own.signal;
}

function toReason(reason: unknown, doing: string): WarderError {
  if (reason instanceof WarderError) return reason;
  const { code } = ConnectError.from(reason, Code.Canceled);
  if (code === Code.DeadlineExceeded) {
    return new WarderError("deadline-exceeded", { doing, why: "the caller's deadline passed", cause: reason });
  }
  if (code === Code.Unavailable) {
    return new WarderError("draining", { doing, why: "the daemon stops", cure: "Try again", cause: reason });
  }
  return new WarderError("aborted", { doing, why: "the caller gave it up", cause: reason });
}
