/** How much may be under way at a time. */
export interface TrafficLimits {
  readonly maxRequests: number;
  readonly maxStreams: number;
}

/** What is under way in a daemon: requests that end by themselves, and streams that go on for as long as callers like. */
export class Traffic {
  limits: TrafficLimits;
  readonly #running = { requests: 0, streams: 0 };

  constructor(limits: TrafficLimits) {
    this.limits = limits;
  }

  /** What is under way now. */
  get running(): Readonly<Record<"requests" | "streams", number>> {
    return { ...this.#running };
  }

  /** Takes note of a request; the returned function ends that. `undefined`: there is no room for it. */
  enter(kind: "requests" | "streams"): (() => void) | undefined {
    const most = kind === "requests" ? this.limits.maxRequests : this.limits.maxStreams;
    if (this.#running[kind] >= most) return undefined;
    this.#running[kind]++;
    let isOver = false;
    return () => {
      if (!isOver) this.#running[kind]--;
      isOver = true;
    };
  }
}
