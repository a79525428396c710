/**
 * A signal that fires after so long, as that of `AbortSignal.timeout`, and can be let go of before: that one would hold
 * whatever listens to it, and all that this refers to, until its time has come, however early the work was done.
 */
export class Deadline implements Disposable {
  readonly signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;

  /** @param milliseconds - From now. */
  constructor(milliseconds: number) {
    const controller = new AbortController();
    this.signal = controller.signal;
    const fire = () => controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
    // For whoever waits to keep the process: a deadline alone is no reason to stay.
    this.#timer = setTimeout(fire, milliseconds).unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
