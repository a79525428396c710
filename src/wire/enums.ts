import type { DescEnum } from "@bufbuild/protobuf";

/** Between the words of the core (`guest-ended`) and those of an enum on the wire (`EXIT_CAUSE_GUEST_ENDED`). */
export interface EnumCodec<Word extends string> {
  toWire(word: Word): number;
  /** `undefined` for what is not said, and for what a newer daemon says. */
  fromWire(value: number): Word | undefined;
}

/**
 * A codec for an enum of which each value but the first, UNSPECIFIED, is a word in capitals.
 *
 * @param words - All words of the core.
 * @throws RangeError where there is no value for a word: the two have grown apart.
 */
export function enumCodec<Word extends string>(schema: DescEnum, words: readonly Word[]): EnumCodec<Word> {
  const values = new Map(schema.values.map(({ localName, number }) => [localName, number]));
  const byWord = new Map(words.map((word) => [word, valueFor(schema, values, word)]));
  const byValue = new Map([...byWord].map(([word, value]) => [value, word]));
  return {
    toWire: (word) => byWord.get(word) ?? 0,
    fromWire: (value) => byValue.get(value),
  };
}

function valueFor(schema: DescEnum, values: ReadonlyMap<string, number>, word: string): number {
  const value = values.get(word.toUpperCase().replaceAll("-", "_"));
  if (value === undefined) throw new RangeError(`${schema.typeName} has no value for ${word}`);
  return value;
}
