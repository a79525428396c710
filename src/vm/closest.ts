/** More changes than these are another word, not a slip. */
const MOST_CHANGES = 3;

/** The known word that a misspelt one was probably meant to be. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((each) => ({ each, changes: distance(word, each) }))
    .filter(({ each, changes }) => changes <= MOST_CHANGES && changes < each.length / 2)
    .toSorted((left, right) => left.changes - right.changes);
  return ranked[0]?.each;
}

/** Letters to add, drop or change to make one word of the other (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
