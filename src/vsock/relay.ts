import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * Joins two streams, each direction by itself: the end of one is passed on while the other goes on. A failure of either
 * ends both.
 *
 * @returns When both directions have ended.
 * @throws What failed first.
 */
export async function relay(one: Duplex, other: Duplex): Promise<void> {
  const both = [one, other] as const;
  try {
    await Promise.all([pipeline(one, other), pipeline(other, one)]);
  } finally {
    for (const stream of both) stream.destroy();
  }
}
