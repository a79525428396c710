import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../host.ts";

const originNanoseconds = BigInt(Math.round(performance.timeOrigin * 1e6));

/** The clocks of this machine. */
export const realClock: Clock = {
  now: () => Date.now(),
  nowNanoseconds: () => originNanoseconds + BigInt(Math.round(performance.now() * 1e6)),
  monotonic: () => performance.now(),
  async sleep(milliseconds, signal) {
    try {
      await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
