import type { Clock } from "../host/host.ts";
import { WarderError } from "../vm/error.ts";

/** More calls than this do not wait for one VM: whoever sends them does not listen to the answers. */
export const QUEUE_MAX = 32;

/** So long a call waits for those before it. Every one of those has a deadline of its own. */
export const QUEUE_TIMEOUT_MS = 60_000;

/** A call on a VM. */
export interface Call {
  /** What is asked: `start`, `pause` … */
  readonly name: string;
  /** Gives the call up, whether it waits or runs. */
  readonly signal?: AbortSignal | undefined;
  /** Goes before all calls that wait. */
  readonly isUrgent?: boolean;
}

interface Waiting {
  readonly call: Call;
  readonly begin: (cut: AbortController) => void;
  readonly giveUp: (reason: unknown) => void;
}

/** Calls on one VM, one at a time, in the order in which they came. */
export class CallQueue {
  readonly #clock: Clock;
  readonly #subject: string;
  readonly #limits: { readonly max: number; readonly timeoutMs: number };
  readonly #waiting: Waiting[] = [];
  #current: { readonly name: string; readonly cut: AbortController } | undefined;
  #idle: PromiseWithResolvers<void> | undefined;

  /** @param subject - Whose calls these are, for errors. */
  constructor(clock: Clock, subject: string, limits = { max: QUEUE_MAX, timeoutMs: QUEUE_TIMEOUT_MS }) {
    this.#clock = clock;
    this.#subject = subject;
    this.#limits = limits;
  }

  /** What is done now. */
  get current(): string | undefined {
    return this.#current?.name;
  }

  /**
   * Does `work` when its turn has come.
   *
   * @throws {@link WarderError} `vm-busy` where too many wait, `deadline-exceeded` where its turn did not come in time,
   * and the signal's reason where it is given up while it waits.
   */
  async run<T>(call: Call, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    call.signal?.throwIfAborted();
    const cut = await this.#turn(call);
    try {
      return await work(call.signal === undefined ? cut.signal : AbortSignal.any([call.signal, cut.signal]));
    } finally {
      this.#current = undefined;
      this.#beginNext();
    }
  }

  /** Whether nothing is done, and nothing waits. */
  get isIdle(): boolean {
    return this.#current === undefined && this.#waiting.length === 0;
  }

  /** Gives calls of these names up, for this reason: those that wait at once, the one under way by its signal. */
  overtake(names: readonly string[], reason: unknown): void {
    for (const each of [...this.#waiting]) if (names.includes(each.call.name)) this.#leave(each, reason);
    if (this.#current !== undefined && names.includes(this.#current.name)) this.#current.cut.abort(reason);
  }

  /** Settles when nothing is done, and nothing waits. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  #turn(call: Call): Promise<AbortController> | AbortController {
    if (this.#current === undefined) return this.#enter(call);
    if (this.#waiting.length >= this.#limits.max) throw this.#busy(call);
    return this.#wait(call);
  }

  #enter({ name }: Call): AbortController {
    const cut = new AbortController();
    this.#current = { name, cut };
    return cut;
  }

  async #wait(call: Call): Promise<AbortController> {
    const turn = Promise.withResolvers<AbortController>();
    const waiting: Waiting = { call, begin: turn.resolve, giveUp: turn.reject };
    if (call.isUrgent === true) this.#waiting.unshift(waiting);
    else this.#waiting.push(waiting);
    const onAbort = () => this.#leave(waiting, call.signal?.reason);
    call.signal?.addEventListener("abort", onAbort, { once: true });
    const timer = new AbortController();
    this.#clock.sleep(this.#limits.timeoutMs, timer.signal).then(
      () => this.#leave(waiting, this.#late(call)),
      () => undefined,
    );
    try {
      return await turn.promise;
    } finally {
      timer.abort();
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  #leave(waiting: Waiting, reason: unknown): void {
    const place = this.#waiting.indexOf(waiting);
    if (place >= 0) this.#waiting.splice(place, 1);
    waiting.giveUp(reason);
  }

  /** The place is taken at once, so that no call that comes now gets in between. */
  #beginNext(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next.begin(this.#enter(next.call));
    else {
      this.#idle?.resolve();
      this.#idle = undefined;
    }
  }

  #busy({ name }: Call): WarderError {
    return new WarderError("vm-busy", {
      doing: `${name} of ${this.#subject}`,
      why: `${this.#limits.max} calls wait for this VM already`,
      cure: "Wait for their answers",
    });
  }

  #late({ name }: Call): WarderError {
    return new WarderError("deadline-exceeded", {
      doing: `${name} of ${this.#subject}`,
      why: `the calls before it were not done within ${this.#limits.timeoutMs} ms${this.#current === undefined ? "" : `, now: ${this.#current.name}`}`,
    });
  }
}
