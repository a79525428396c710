import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 5;

/** How long anything may take: generous, since a machine may be busy; nothing waits longer than it has to; the lab emulates its processor. */
export const DEADLINE_MS = process.env.LAB === "1" ? 240_000 : 60_000;

/** Waits for a condition, and returns what it found. */
export async function until<T>(
  what: string,
  find: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await sleep(POLL_MS);
  }
}

/** Fails if a promise is not settled in time. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = DEADLINE_MS): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${deadlineMs} ms`)), deadlineMs);
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}
