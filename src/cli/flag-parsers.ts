import { resolve } from "node:path";
import type { Parsed, Parser } from "./flags.ts";

const ok = <T>(value: T): Parsed<T> => ({ value });
const wrong = (problem: string): { readonly problem: string } => ({ problem });

/** Any text. */
export const text: Parser<string> = (given) => ok(given);

/** A whole number. Its bounds are the business of whoever uses it. */
export const whole: Parser<number> = (given) => {
  const number = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
  return Number.isSafeInteger(number) ? ok(number) : wrong("must be a whole number");
};

/** Seconds, with a fraction if need be, as milliseconds. */
export const seconds: Parser<number> = (given) => {
  if (/^\d{1,9}(\.\d{1,3})?s?$/.test(given)) return ok(Math.round(Number.parseFloat(given) * 1000));
  return wrong("must be a number of seconds such as 30 or 2.5");
};

/** Seconds within bounds, as milliseconds. */
export function secondsWithin(least: number, most: number): Parser<number> {
  return (given) => {
    const parsed = seconds(given);
    if ("problem" in parsed || (parsed.value >= least * 1000 && parsed.value <= most * 1000)) return parsed;
    return wrong(`must be ${least} to ${most} seconds`);
  };
}

const MIB_OF_UNIT: Readonly<Record<string, number>> = { "": 1, m: 1, g: 1024, t: 1024 * 1024 };

/** A size in MiB: `512`, `512M`, `2G`, `2GiB`. */
export const mebibytes: Parser<number> = (given) => {
  const [, digits, unit] = /^(\d{1,12})(?:([mgt])(?:ib|b)?)?$/i.exec(given) ?? [];
  if (digits === undefined) return wrong("must be a size such as 512 (in MiB), 512M or 2G");
  return ok(Number(digits) * (MIB_OF_UNIT[unit?.toLowerCase() ?? ""] ?? 1));
};

/** A path on the host, relative to where the user is. */
export const path: Parser<string> = (given) => (given === "" ? wrong("must be a path") : ok(resolve(given)));

/** One of some words. */
export function oneOf<Word extends string>(...words: readonly Word[]): Parser<Word> {
  return (given) => {
    const word = words.find((each) => each === given);
    return word === undefined ? wrong(`must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`) : ok(word);
  };
}

/** `server.port=9090`: a setting's name in the file, and its value as a variable would have it. */
export const setting: Parser<readonly [name: string, value: string]> = (given) => {
  const [, name, text = ""] = /^([a-z0-9_.]+)=(.*)$/s.exec(given) ?? [];
  return name === undefined ? wrong("must be a setting and its value, such as server.port=9090") : ok([name, text]);
};

/** First user id and how many: `500000:10000`. */
export const uidRange: Parser<{ readonly first: number; readonly count: number }> = (given) => {
  const [, first, count] = /^(\d{1,10}):(\d{1,10})$/.exec(given) ?? [];
  if (first === undefined) return wrong("must be the first id and how many, such as 500000:10000");
  return ok({ first: Number(first), count: Number(count) });
};

/** A disk: `[ID=]FILE[:ro]`. */
export interface DriveFlag {
  readonly id?: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** `FILE[:ro|:rw]`, for the root disk. */
export const disk: Parser<DriveFlag> = (given) => {
  const [, file = "", mode] = /^(.*?)(?::(ro|rw))?$/s.exec(given) ?? [];
  return file === "" ? wrong("must be a file, or FILE:ro") : ok({ path: resolve(file), readOnly: mode === "ro" });
};

/** `[ID=]FILE[:ro|:rw]`, for further disks. What is no id before `=` belongs to the file's name. */
export const drive: Parser<DriveFlag> = (given) => {
  const [, id, rest = ""] = /^(?:([A-Za-z0-9_]+)=)?(.*)$/s.exec(given) ?? [];
  const parsed = disk(rest);
  if ("problem" in parsed) return wrong("must be [ID=]FILE[:ro]");
  return id === undefined ? parsed : ok({ id, ...parsed.value });
};

/** SHA-256 in hexadecimal digits. */
export const sha256: Parser<string> = (given) =>
  /^[0-9a-fA-F]{64}$/.test(given) ? ok(given.toLowerCase()) : wrong("must be 64 hexadecimal digits");
