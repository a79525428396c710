import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { WarderError } from "../vm/error.ts";
import type { HostPort } from "./host-port.ts";

/** The host as the caller may see it: its own tenant's VMs, within its quota. Set before a service is called. */
export const hostKey = createContextKey<HostPort | undefined>(undefined, { description: "the host, for the caller" });

/** The host as the caller of this call may see it. */
export function hostOf({ values }: HandlerContext): HostPort {
  const host = values.get(hostKey);
  if (host === undefined) throw new TypeError("a call came to a service without its caller having been looked at");
  return host;
}

/**
 * A signal for the core: fires when the caller gives up, its deadline passes or the daemon must stop, with the reason in
 * Warder's own terms.
 */
export function signalOf({ signal }: HandlerContext, doing: string): AbortSignal {
  const own = new AbortController();
  const give = () => own.abort(toReason(signal.reason, doing));
  if (signal.aborted) give();
  else signal.addEventListener("abort", give, { once: true });
  return own.signal;
}

function toReason(reason: unknown, doing: string): WarderError {
  const { code } = ConnectError.from(reason, Code.Canceled);
  if (code === Code.DeadlineExceeded) {
    return new WarderError("deadline-exceeded", { doing, why: "the caller's deadline passed", cause: reason });
  }
  if (code === Code.Unavailable) {
    return new WarderError("draining", { doing, why: "the daemon stops", cure: "Try again", cause: reason });
  }
  return new WarderError("aborted", { doing, why: "the caller gave it up", cause: reason });
}
