import type { Clock } from "../host/host.ts";
import type { VsockPortLimits } from "../vm/vsock.ts";
import { Meter } from "./meter.ts";

/** What has passed a gate. */
export interface GateCounts {
  /** Connections that are open, or wait for their turn. */
  readonly open: number;
  /** Connections so far whose turn has come. */
  readonly taken: number;
  /** Connections that were turned away, as there were too many at once, or too many that waited. */
  readonly refused: number;
  readonly bytesToGuest: number;
  readonly bytesToHost: number;
}

/** Who makes a connection. */
export type Side = "guest" | "host";

/**
 * What comes in so long may wait for its turn. More than that would only be turned away later, and would keep places from
 * connections of other ports meanwhile.
 */
const WAIT_MS = 250;

/** The last eighth of a VM's places is the host's: a guest can not lock out whoever looks after it. */
const HOSTS_SHARE = 8;

/** The limits of one VM or of one of its ports, and what they have let through. */
export class Gate {
  readonly toGuest: Meter | undefined;
  readonly toHost: Meter | undefined;
  readonly #rate: Meter | undefined;
  readonly #places: Readonly<Record<Side, number>>;
  readonly #mayWait: number;
  #waiting = 0;
  readonly #counts = { open: 0, taken: 0, refused: 0, bytesToGuest: 0, bytesToHost: 0 };

  /** @param isOfVm - Whether it is the gate of a VM, which both sides pass. */
  constructor({ connectionRate, concurrent, toGuest, toHost }: VsockPortLimits, clock: Clock, isOfVm = false) {
    const places = concurrent ?? Number.POSITIVE_INFINITY;
    this.#places = { host: places, guest: isOfVm ? places - Math.floor(places / HOSTS_SHARE) : places };
    this.#rate = connectionRate && new Meter(connectionRate, clock);
    this.#mayWait = Math.max(1, Math.ceil(((connectionRate?.perSecond ?? 0) * WAIT_MS) / 1000));
    this.toGuest = toGuest && new Meter({ perSecond: toGuest.bytesPerSecond, burst: toGuest.burstBytes }, clock);
    this.toHost = toHost && new Meter({ perSecond: toHost.bytesPerSecond, burst: toHost.burstBytes }, clock);
  }

  get counts(): GateCounts {
    return { ...this.#counts };
  }

  hasRoomFor(side: Side): boolean {
    return this.#counts.open < this.#places[side] && this.#waiting < this.#mayWait;
  }

  enter(): void {
    this.#counts.open++;
  }

  leave(): void {
    this.#counts.open--;
  }

  refuse(): void {
    this.#counts.refused++;
  }

  /** Waits until one more connection fits into the rate. */
  async turn(signal: AbortSignal): Promise<void> {
    const turn = this.#rate?.take(1, signal);
    if (turn !== undefined) await this.#wait(turn);
    this.#counts.taken++;
  }

  async #wait(turn: Promise<void>): Promise<void> {
    this.#waiting++;
    try {
      await turn;
    } finally {
      this.#waiting--;
    }
  }

  count(direction: "bytesToGuest" | "bytesToHost", bytes: number): void {
    this.#counts[direction] += bytes;
  }
}
