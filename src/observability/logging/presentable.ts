import { isWarderError, messageOf } from "../../vm/error.ts";

/** Deeper members, further members and longer texts are cut off: what is logged may be of a guest's or a caller's making. */
const MAX_DEPTH = 6;
const MAX_MEMBERS = 64;
const MAX_TEXT_LENGTH = 4096;

const REDACTED = "[redacted]";
const CUT_OFF = "[cut off]";

const secretName = /authorization|cookie|credential|passphrase|password|secret|token|api[-_]?key|private[-_]?key/i;
const secretTexts: readonly (readonly [RegExp, string])[] = [
  // The schemes of RFC 7617 and RFC 6750, as they stand in a header.
  [/\b(Basic|Bearer)\s+[A-Za-z0-9._~+/=-]+/gi, `$1 ${REDACTED}`],
  // Name and password in a URL.
  [/\/\/[^/\s:@]*:[^/\s@]*@/g, `//${REDACTED}@`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
];

/** What may be written to a log of `details`: bounded in depth, breadth and length, and without secrets. */
export function presentable(details: object): Record<string, unknown> {
  return members(details, 0);
}

function members(value: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(value);
  const shown = entries.slice(0, MAX_MEMBERS).map(([name, member]) => [name, shownMember(name, member, depth + 1)]);
  if (entries.length > MAX_MEMBERS) shown.push([CUT_OFF, entries.length - MAX_MEMBERS]);
  return Object.fromEntries(shown);
}

function shownMember(name: string, value: unknown, depth: number): unknown {
  const isHarmless = value === null || value === undefined || typeof value === "number" || typeof value === "boolean";
  return secretName.test(name) && !isHarmless ? REDACTED : shownValue(value, depth);
}

function shownValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return presentableText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return String(typeof value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return shownError(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (depth > MAX_DEPTH) return CUT_OFF;
  if (!Array.isArray(value)) return members(value, depth);
  const items = value.slice(0, MAX_MEMBERS).map((item) => shownValue(item, depth + 1));
  return value.length > MAX_MEMBERS ? [...items, CUT_OFF] : items;
}

function shownError(error: Error): unknown {
  const message = presentableText(messageOf(error));
  return isWarderError(error) ? { code: error.code, message } : { message };
}

/** A text, bounded and without secrets. */
export function presentableText(text: string): string {
  const bounded = text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}${CUT_OFF}` : text;
  return secretTexts.reduce((result, [pattern, instead]) => result.replaceAll(pattern, instead), bounded);
}
