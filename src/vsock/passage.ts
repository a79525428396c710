import type { Duplex } from "node:stream";
import type { Gate, Side } from "./gate.ts";
import { type HalfClose, LimitedStream } from "./limited-stream.ts";
import { Throttle } from "./throttle.ts";

/**
 * The way of one connection through all gates that it has to pass: its port's, where that has limits of its own, and its
 * VM's. It holds a place in each from {@link enter} on until it is left.
 */
export class Passage {
  readonly #gates: readonly Gate[];
  readonly #onLeft: () => void;
  #isLeft = false;

  private constructor(gates: readonly Gate[], onLeft: () => void) {
    this.#gates = gates;
    this.#onLeft = onLeft;
  }

  /** A place in every gate; `undefined` where one of them is full, which all of them then count. */
  static enter(side: Side, gates: readonly Gate[], onLeft: () => void): Passage | undefined {
    if (gates.some((gate) => !gate.hasRoomFor(side))) {
      for (const gate of gates) gate.refuse();
      return undefined;
    }
    for (const gate of gates) gate.enter();
    return new Passage(gates, onLeft);
  }

  /** Waits until the connection fits into every rate. */
  async turn(signal: AbortSignal): Promise<void> {
    for (const gate of this.#gates) await gate.turn(signal);
  }

  /** The guest's end of the connection, within the limits. The places are left when it is closed. */
  limit(socket: Duplex, halfClose: HalfClose): Duplex {
    const stream = new LimitedStream(socket, {
      outgoing: this.#throttle("toGuest", "bytesToGuest"),
      incoming: this.#throttle("toHost", "bytesToHost"),
      halfClose,
    });
    return stream.once("close", () => this.leave());
  }

  /** Gives the places back. Repeating it does nothing. */
  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    for (const gate of this.#gates) gate.leave();
    this.#onLeft();
  }

  #throttle(meter: "toGuest" | "toHost", counter: "bytesToGuest" | "bytesToHost"): Throttle {
    const meters = this.#gates.flatMap((gate) => gate[meter] ?? []);
    return new Throttle(meters, (bytes) => {
      for (const gate of this.#gates) gate.count(counter, bytes);
    });
  }
}
