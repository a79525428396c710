import type { Meter } from "./meter.ts";

/** Longest piece that passes at once, so that streams take turns however large their chunks are. */
const PIECE_BYTES = 64 * 1024;

/** A piece of a whole bucket would have to wait until it is full, and all that comes between two pieces would run over. */
const PIECES_IN_BUCKET = 4;

/** What bytes of one direction have to pass: the meters of the connection's port and of its VM. */
export class Throttle {
  readonly #meters: readonly Meter[];
  readonly #onPassed: (bytes: number) => void;
  /** Most bytes that pass at once. */
  readonly pieceBytes: number;

  constructor(meters: readonly Meter[], onPassed: (bytes: number) => void) {
    this.#meters = meters;
    this.#onPassed = onPassed;
    const least = Math.min(...meters.map(({ bucket }) => bucket.burst));
    this.pieceBytes = Math.min(PIECE_BYTES, Math.max(1, Math.floor(least / PIECES_IN_BUCKET)));
  }

  /** Waits until `bytes`, at most {@link pieceBytes}, may pass. Throws the signal's reason. */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    for (const meter of this.#meters) {
      const wait = meter.take(bytes, signal);
      if (wait !== undefined) await wait;
    }
    this.#onPassed(bytes);
  }

  /** A chunk in pieces that may pass. */
  *piecesOf(chunk: Uint8Array): Generator<Uint8Array> {
    for (let from = 0; from < chunk.length; from += this.pieceBytes) yield chunk.subarray(from, from + this.pieceBytes);
  }
}
