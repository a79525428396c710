/** What stands for all values beyond the bound. */
export const OTHER = "other";

/**
 * A label whose values are not of a set that can be written down, such as the names of controls: it takes the first so
 * many values and calls the rest {@link OTHER}, so that nobody can make series without end.
 */
export class BoundedLabel {
  readonly #most: number;
  readonly #known = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.#most || !/^[a-z][a-z0-9._-]{0,63}$/i.test(value)) return OTHER;
    this.#known.add(value);
    return value;
  }
}
