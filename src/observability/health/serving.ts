/** Whether the daemon takes calls: it is put in order after its start, and drained before its end. */
export type ServingState = "starting" | "ready" | "draining";

/** The answers of `grpc.health.v1.Health`, in its own words. */
export type ServingStatus = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

/**
 * Whether the daemon, and each of its services, is ready for calls: what load balancers and supervisors ask before they
 * send any. The daemon sets it; `/ready` and the gRPC health service tell it.
 */
export class Serving {
  readonly #services: ReadonlySet<string>;
  readonly #listeners = new Set<() => void>();
  #state: ServingState = "starting";

  /** @param services - Full names, such as `vmprovisioner.v1.VmService`. They share one state. */
  constructor(services: readonly string[]) {
    // The empty name is the daemon as a whole, by the protocol.
    this.#services = new Set(["", ...services]);
  }

  get state(): ServingState {
    return this.#state;
  }

  set(state: ServingState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  /** `SERVICE_UNKNOWN` for a service that is none of this daemon's. */
  statusOf(service: string): ServingStatus {
    if (!this.#services.has(service)) return "SERVICE_UNKNOWN";
    return this.#state === "ready" ? "SERVING" : "NOT_SERVING";
  }

  /** The status now, and then each time that it becomes another, until the signal fires. */
  async *watch(service: string, signal: AbortSignal): AsyncGenerator<ServingStatus, void> {
    const left = new AbortController();
    const within = AbortSignal.any([signal, left.signal]);
    let told: ServingStatus | undefined;
    try {
      while (!signal.aborted) {
        const changed = this.#nextChange(within);
        const status = this.statusOf(service);
        if (status !== told) yield status;
        told = status;
        await changed;
      }
    } finally {
      left.abort();
    }
  }

  /** Settles with the next change, or when the signal fires. */
  #nextChange(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#listeners.add(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    return promise.finally(() => this.#listeners.delete(resolve));
  }
}
