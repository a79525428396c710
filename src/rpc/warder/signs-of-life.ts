/** How often a stream on which nothing happens says that it is there: often enough for what stands in between. */
export const SIGN_OF_LIFE_MS = 15_000;

/**
 * What a source gives, with `undefined` in between for each while in which it gives nothing. Ends with the source, and
 * ends the source where it is left early.
 */
export async function* withSignsOfLife<T>(
  source: AsyncIterable<T>,
  everyMs: number,
): AsyncGenerator<T | undefined, void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const quiet = Promise.withResolvers<"quiet">();
      const timer = setTimeout(() => quiet.resolve("quiet"), everyMs);
      const found = await Promise.race([next, quiet.promise]).finally(() => clearTimeout(timer));
      if (found === "quiet") {
        yield undefined;
        continue;
      }
      if (found.done === true) return;
      yield found.value;
      next = iterator.next();
    }
  } finally {
    // Not waited for: a source that stands still ends by its signal, which is the caller's to fire.
    iterator.return?.().catch(() => undefined);
  }
}
