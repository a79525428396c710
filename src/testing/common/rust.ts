/** How Rust's `{:?}` prints a string: the real programs' `Error: …` lines are made of it. */
export function debugString(text: string): string {
  return JSON.stringify(text);
}

const UNSIGNED_MAX = { u8: 0xffn, u32: 0xffff_ffffn, u64: 0xffff_ffff_ffff_ffffn } as const;

/** The result of Rust's `str::parse` for an unsigned integer: a leading `+` and leading zeros are fine. */
export type ParsedInteger = { readonly value: bigint } | { readonly problem: string };

/** Parses an unsigned integer as Rust's standard library does, with its words for what is wrong. */
export function parseUnsigned(text: string, type: keyof typeof UNSIGNED_MAX): ParsedInteger {
  if (text === "") return { problem: "cannot parse integer from empty string" };
  if (!/^\+?[0-9]+$/.test(text)) return { problem: "invalid digit found in string" };
  const value = BigInt(text.replace("+", ""));
  return value > UNSIGNED_MAX[type] ? { problem: "number too large to fit in target type" } : { value };
}
