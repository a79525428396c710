const LINE_FEED = 0x0a;

/**
 * Shows the last lines of what a source yields, and gives what it returns. What is kept of a VM's output is bounded, so
 * the whole of it may be held here.
 */
export function lastLines<End>(
  source: Generator<Uint8Array, End>,
  lines: number,
  sink: { show(chunk: Uint8Array): void },
): End {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const next = source.next();
    if (next.done === true) {
      const whole = Buffer.concat(chunks);
      sink.show(whole.subarray(startOfTail(whole, lines)));
      return next.value;
    }
    chunks.push(next.value);
  }
}

/** Where the last so many lines begin. A line without its end at the very last counts as one. */
export function startOfTail(bytes: Uint8Array, lines: number): number {
  if (lines === 0) return bytes.length;
  // The line feed that ends the last line begins none.
  let position = bytes.length - 1;
  for (let left = lines; position > 0 && left > 0; left--) {
    const feed = bytes.lastIndexOf(LINE_FEED, position - 1);
    if (feed < 0) return 0;
    position = feed;
    if (left === 1) return feed + 1;
  }
  return 0;
}
