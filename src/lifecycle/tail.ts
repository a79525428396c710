const LINE_FEED = 0x0a;

/** The last lines of what is kept of a VM's output, which is bounded, so that the whole of it may be held here. */
export function lastLines(chunks: Iterable<Uint8Array>, lines: number): Uint8Array {
  const whole = Buffer.concat([...chunks]);
  return whole.subarray(startOfTail(whole, lines));
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
