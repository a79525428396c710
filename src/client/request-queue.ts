/** Requests of a call, each pushed when the one before was taken: one at a time waits, and no more. */
export class RequestQueue<Item> implements AsyncIterable<Item> {
  #waiting: { readonly item: Item; readonly taken: () => void } | undefined;
  #isOver = false;
  #wake: (() => void) | undefined;

  /** Settles when the request was taken, or nothing is taken any more. */
  push(item: Item): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { item, taken: resolve };
    this.#wake?.();
    return promise;
  }

  /** Nothing comes any more. */
  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void> {
    try {
      for (;;) {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (waiting !== undefined) {
          yield waiting.item;
          // Asked for the next one: it was written.
          waiting.taken();
          continue;
        }
        if (this.#isOver) return;
        const woken = Promise.withResolvers<void>();
        this.#wake = woken.resolve;
        await woken.promise;
        this.#wake = undefined;
      }
    } finally {
      this.#isOver = true;
      this.#waiting?.taken();
    }
  }
}
