import * as z from "zod";
import { type HostPath, pathProblem } from "../vm/path.ts";
import { type Uid, uidProblem } from "../vm/size.ts";

/**
 * Forms of values: each reads what is written in a file, a variable or a flag, takes a value that was read before as it
 * is, and says in its description what it takes, for the documentation and for the message alike.
 */

/** A form out of a reader that makes `undefined` of what it does not take. */
export function form<T>(description: string, read: (given: unknown) => T | undefined): z.ZodType<T> {
  const reader = z.unknown().transform((given, context): T => {
    const value = read(given);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `must be ${description}` });
    return z.NEVER;
  });
  return reader.describe(description) as z.ZodType<T>;
}

/** An absolute path of the host. */
export const path = form("an absolute path", (given) =>
  typeof given === "string" && pathProblem(given) === undefined ? (given as HostPath) : undefined,
);

/** A path, or the word that says that there shall be none. */
export const pathOrNone = form("an absolute path, or none", (given) => {
  if (given === "none") return given;
  return typeof given === "string" && pathProblem(given) === undefined ? (given as HostPath) : undefined;
});

/** A whole number within bounds, both included. */
export function whole(least: number, most: number): z.ZodType<number> {
  return form(`${least} to ${most}`, (given) => {
    const value = numberOf(given, /^\d{1,16}$/);
    return value !== undefined && Number.isSafeInteger(value) && value >= least && value <= most ? value : undefined;
  });
}

/** A number with a fraction, within bounds, both included. */
export function decimal(least: number, most: number): z.ZodType<number> {
  return form(`${least} to ${most}, with a fraction if need be`, (given) => {
    const value = numberOf(given, /^\d{1,16}(\.\d{1,16})?$/);
    return value !== undefined && value >= least && value <= most ? value : undefined;
  });
}

const BYTES_OF: Readonly<Record<string, number>> = { "": 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3, tib: 1024 ** 4 };

/** A size in bytes: `65536`, `64KiB`, `4MiB`. Within bounds, both included. */
export function bytes(least: number, most: number): z.ZodType<number> {
  return form(`${sizeText(least)} to ${sizeText(most)}: bytes, or with a unit such as 64KiB or 2GiB`, (given) => {
    const [, digits, unit = ""] = /^(\d{1,16}) ?(KiB|MiB|GiB|TiB)?$/i.exec(String(given)) ?? [];
    const value = Number(digits ?? Number.NaN) * (BYTES_OF[unit.toLowerCase()] ?? Number.NaN);
    return Number.isSafeInteger(value) && value >= least && value <= most ? value : undefined;
  });
}

const MILLISECONDS_OF: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time span with its unit, `500ms`, `30s`, `5m`, `24h` or `7d`, as milliseconds. Within bounds, both included. */
export function duration(least: string, most: string): z.ZodType<number> {
  const [leastMs, mostMs] = [toMilliseconds(least), toMilliseconds(most)] as const;
  return form(`a time from ${least} to ${most} with its unit (ms, s, m, h, d), such as 30s`, (given) => {
    const value = typeof given === "number" ? given : toMilliseconds(String(given));
    return Number.isSafeInteger(value) && value >= leastMs && value <= mostMs ? value : undefined;
  });
}

const TRUE = new Set(["1", "t", "true", "y", "yes", "on"]);
const FALSE = new Set(["0", "f", "false", "n", "no", "off"]);

/** Everything that Go's `strconv.ParseBool` takes, as the seed's variables are read by it, and yes, no, on and off. */
export const yesOrNo = form("true or false", (given) => {
  const word = String(given).toLowerCase();
  return TRUE.has(word) ? true : FALSE.has(word) ? false : undefined;
});

/** One of some words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): z.ZodType<Word> {
  const description = words.length === 1 ? `${words[0]}` : `one of ${words.join(", ")}`;
  return form(description, (given) => words.find((each) => each === given));
}

/** The first of some numbers, and how many there are. */
export interface NumberRange {
  readonly first: number;
  readonly count: number;
}

/** `500000:10000`: first and how many, all of them within bounds. */
export function range(what: string, example: string, least: number, most: number): z.ZodType<NumberRange> {
  const shape = z.strictObject({ first: z.int().min(least).max(most), count: z.int().min(1).max(1_000_000) });
  return form(`${what}, from ${least} on, and how many, such as ${example}`, (given) => {
    const { data } = shape.safeParse(typeof given === "string" ? splitRange(given) : given);
    return data !== undefined && data.first + data.count - 1 <= most ? data : undefined;
  });
}

/** A user or group id that is not root's. */
export const uid = form(
  "a user or group id from 1 to 4294967294; never root's, who would keep every capability",
  (given) => {
    const value = numberOf(given, /^\d{1,10}$/);
    return value !== undefined && uidProblem(value) === undefined ? (value as Uid) : undefined;
  },
);

/** An address to listen on: no name but `localhost`, as what a name leads to can change. */
export const listenAddress = form("an IP address, or localhost", (given) => {
  if (given === "localhost") return "127.0.0.1";
  return z.union([z.ipv4(), z.ipv6()]).safeParse(given).data;
});

/** Names or numbers, one after the other: a list in a file, separated by commas elsewhere. */
export function listOf<T>(each: z.ZodType<T>): z.ZodType<readonly T[]> {
  return form(`a list, of which each is ${each.description}`, (given) => {
    const parts = typeof given === "string" ? given.split(",").map((part) => part.trim()) : given;
    return z.array(each).max(1000).safeParse(parts).data;
  });
}

/** `true` for an address that only this machine reaches. */
export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** The text that a time span is read from: `90s`, in the largest unit that says it exactly. */
export function durationText(milliseconds: number): string {
  const units = Object.entries(MILLISECONDS_OF).toReversed();
  const [unit, factor] = units.find(([, each]) => milliseconds % each === 0) ?? ["ms", 1];
  return milliseconds === 0 ? "0" : `${milliseconds / factor}${unit}`;
}

/** `30s` in milliseconds; NaN for what is no time span. Nothing but 0 goes without a unit. */
function toMilliseconds(text: string): number {
  if (text === "0") return 0;
  const [, digits, unit = ""] = /^(\d{1,12}) ?(ms|s|m|h|d)$/.exec(text) ?? [];
  return Number(digits ?? Number.NaN) * (MILLISECONDS_OF[unit] ?? Number.NaN);
}

/** `4 KiB`: the largest unit that says it exactly. */
function sizeText(size: number): string {
  const units = Object.entries({ TiB: 1024 ** 4, GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024 });
  const [unit, factor] = units.find(([, each]) => size >= each && size % each === 0) ?? ["", 1];
  return `${size / factor}${unit}`;
}

function numberOf(given: unknown, grammar: RegExp): number | undefined {
  if (typeof given === "number") return given;
  return typeof given === "string" && grammar.test(given) ? Number(given) : undefined;
}

function splitRange(text: string): unknown {
  const [, first, count] = /^(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  return { first: Number(first ?? Number.NaN), count: Number(count ?? Number.NaN) };
}
