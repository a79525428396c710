import type { Clock } from "../host/host.ts";
import type { VsockPortLimits } from "../vm/vsock.ts";
import { Meter } from "./meter.ts";

/** What has passed a gate. */
export interface GateCounts {
  /** Connections that are open, or wait for their turn. */
  readonly open: number;
  /** Connections so far. */
  readonly taken: number;
  /** Connections that were turned away, as there were too many at once. */
  readonly refused: number;
  readonly bytesToGuest: number;
  readonly bytesToHost: number;
}

/** The limits of one VM or of one of its ports, and what they have let through. */
export class Gate {
  readonly toGuest: Meter | undefined;
  readonly toHost: Meter | undefined;
  readonly #rate: Meter | undefined;
  readonly #concurrent: number;
  readonly #counts = { open: 0, taken: 0, refused: 0, bytesToGuest: 0, bytesToHost: 0 };

  constructor({ connectionRate, concurrent, toGuest, toHost }: VsockPortLimits, clock: Clock) {
    this.#concurrent = concurrent ?? Number.POSITIVE_INFINITY;
    this.#rate = connectionRate && new Meter(connectionRate, clock);
    this.toGuest = toGuest && new Meter({ perSecond: toGuest.bytesPerSecond, burst: toGuest.burstBytes }, clock);
    this.toHost = toHost && new Meter({ perSecond: toHost.bytesPerSecond, burst: toHost.burstBytes }, clock);
  }

  get counts(): GateCounts {
    return { ...this.#counts };
  }

  get hasRoom(): boolean {
    return this.#counts.open < this.#concurrent;
  }

  enter(): void {
    this.#counts.open++;
    this.#counts.taken++;
  }

  leave(): void {
    this.#counts.open--;
  }

  refuse(): void {
    this.#counts.refused++;
  }

  /** Waits until one more connection fits into the rate. */
  turn(signal: AbortSignal): Promise<void> | undefined {
    return this.#rate?.take(1, signal);
  }

  count(direction: "bytesToGuest" | "bytesToHost", bytes: number): void {
    this.#counts[direction] += bytes;
  }
}
