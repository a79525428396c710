import type { Caller } from "../access/caller.ts";
import { WarderError } from "../vm/error.ts";

/** How long a call goes on at most whose token was revoked meanwhile. */
const LOOK_EVERY_MS = 5_000;

/** A call that goes on for as long as its caller likes. */
interface LongCall {
  readonly tokenId: string | undefined;
  readonly controller: AbortController;
}

/** Ends calls that their callers would let go on: whose time is up, whose token is worth nothing any more. */
export class Cuts implements Disposable {
  readonly #isWorth: (tokenId: string) => boolean;
  readonly #timer: NodeJS.Timeout;
  readonly #long = new Set<LongCall>();

  /** @param isWorth - Whether a token is still worth something. */
  constructor(isWorth: (tokenId: string) => boolean, everyMs = LOOK_EVERY_MS) {
    this.#isWorth = isWorth;
    this.#timer = setInterval(() => this.#look(), everyMs).unref();
  }

  /**
   * A signal that fires when a call must end.
   *
   * @param timeoutMs - Absent: it may go on for as long as its caller may call.
   * @param over - Fires when the call has ended, however.
   */
  of({ tokenId }: Caller, timeoutMs: number | undefined, over: AbortSignal): AbortSignal {
    const controller = new AbortController();
    const forget = timeoutMs === undefined ? this.#keep({ tokenId, controller }) : this.#limit(controller, timeoutMs);
    if (over.aborted) forget();
    else over.addEventListener("abort", forget, { once: true });
    return controller.signal;
  }

  /** Ends all calls that would go on. */
  endStreams(reason: WarderError): void {
    for (const { controller } of this.#long) controller.abort(reason);
    this.#long.clear();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #keep(call: LongCall): () => void {
    this.#long.add(call);
    return () => this.#long.delete(call);
  }

  #limit(controller: AbortController, timeoutMs: number): () => void {
    const timer = setTimeout(() => controller.abort(late(timeoutMs)), timeoutMs).unref();
    return () => clearTimeout(timer);
  }

  #look(): void {
    for (const call of this.#long) {
      if (call.tokenId === undefined || this.#isWorth(call.tokenId)) continue;
      call.controller.abort(revoked());
      this.#long.delete(call);
    }
  }
}

function late(timeoutMs: number): WarderError {
  return new WarderError("deadline-exceeded", {
    doing: "serving the request",
    why: `it was not done within ${timeoutMs} ms, which is the daemon's limit`,
    cure: "Ask for the VM's state, or let an admin raise server.request_timeout",
  });
}

function revoked(): WarderError {
  return new WarderError("unauthenticated", {
    doing: "going on with the call",
    why: "its token was revoked, or has expired",
  });
}
