/** Descriptions of JSON bodies, read the way serde's derived deserializers read them. */
import { type JsonError, type JsonNumber, JsonReader } from "./json-reader.ts";

/** Reads one value off a document. */
export type Schema<T> = (reader: JsonReader) => T;

/** A member of an object; without a default it must be there. */
export interface Field<T> {
  readonly read: Schema<T>;
  readonly fallback?: { readonly value: T };
}

type Fields = Readonly<Record<string, Field<unknown>>>;

/** The value that a description describes. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** Reads a whole document. */
export function readJson<T>(text: string | Buffer, schema: Schema<T>): T {
  const reader = new JsonReader(text);
  const value = schema(reader);
  reader.end();
  return value;
}

export const required = <T>(read: Schema<T>): Field<T> => ({ read });

export const withDefault = <T>(read: Schema<T>, value: T): Field<T> => ({ read, fallback: { value } });

/** Absent and null are the same. */
export const nullable = <T>(read: Schema<T>): Field<T | null> => withDefault(orNull(read), null);

function orNull<T>(read: Schema<T>): Schema<T | null> {
  return (reader) => {
    if (reader.peek() !== "n") return read(reader);
    reader.word("null");
    return null;
  };
}

const unsigned =
  (name: string, max: bigint): Schema<number> =>
  (reader) => {
    if (!startsNumber(reader.peek())) return wrongType(reader, name);
    const number = reader.number();
    if (number.kind === "float") throw reader.error(`invalid type: ${describeNumber(number)}, expected ${name}`);
    if (number.value < 0n || number.value > max) {
      throw reader.error(`invalid value: ${describeNumber(number)}, expected ${name}`);
    }
    return Number(number.value);
  };

export const u8 = unsigned("u8", 0xffn);
export const u16 = unsigned("u16", 0xffffn);
export const u32 = unsigned("u32", 0xffff_ffffn);
export const u64 = unsigned("u64", 0xffff_ffff_ffff_ffffn);
export const usize = unsigned("usize", 0xffff_ffff_ffff_ffffn);

export const bool: Schema<boolean> = (reader) => {
  const first = reader.peek();
  if (first !== "t" && first !== "f") return wrongType(reader, "a boolean");
  reader.word(first === "t" ? "true" : "false");
  return first === "t";
};

/** A string. */
export function text(expected = "a string"): Schema<string> {
  return (reader) => (reader.peek() === '"' ? reader.string() : wrongType(reader, expected));
}

export const string = text();
export const path = text("path string");

/** A string with a check of its own, which finds the mistake when the object around it is left. */
export function checked(problem: (value: string) => string | undefined): Schema<string> {
  return (reader) => {
    const value = string(reader);
    const wrong = problem(value);
    if (wrong !== undefined) throw errorLeaving(reader, wrong);
    return value;
  };
}

/** An error at the place where an object is left early: behind its end, if that comes next. */
function errorLeaving(reader: JsonReader, message: string): JsonError {
  if (reader.peek() === "}") reader.skip();
  return reader.error(message);
}

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): Schema<T> {
  return (reader) => {
    if (reader.peek() !== '"') throw reader.errorAhead("expected value");
    const value = reader.string();
    const found = words.find((word) => word === value);
    if (found === undefined) throw reader.error(`unknown variant \`${value}\`, ${expectedNames(words)}`);
    return found;
  };
}

export function list<T>(item: Schema<T>): Schema<T[]> {
  return (reader) => {
    if (reader.peek() !== "[") return wrongType(reader, "a sequence");
    reader.skip();
    const items: T[] = [];
    while (hasNext(reader, "]", items.length === 0, "a list")) items.push(item(reader));
    reader.skip();
    return items;
  };
}

/** Steps to the next item of a list or object; false when its end comes next. */
function hasNext(reader: JsonReader, close: string, first: boolean, what: string): boolean {
  const next = reader.peek();
  if (next === undefined) throw reader.errorAhead(`EOF while parsing ${what}`);
  if (next === close) return false;
  if (first) return true;
  if (next !== ",") throw reader.errorAhead(`expected \`,\` or \`${close}\``);
  reader.skip();
  const after = reader.peek();
  if (after === undefined) throw reader.errorAhead("EOF while parsing a value");
  if (after === close) throw reader.errorAhead("trailing comma");
  return true;
}

/** An object with these members. Unknown ones are refused unless `open`. */
export function struct<const F extends Fields>(
  name: string,
  fields: F,
  { open = false } = {},
): Schema<{ [K in keyof F]: F[K] extends Field<infer T> ? T : never }> {
  return (reader) => {
    if (reader.peek() !== "{") return wrongType(reader, `struct ${name}`);
    reader.skip();
    const values = new Map<string, unknown>();
    let first = true;
    while (hasNext(reader, "}", first, "an object")) {
      first = false;
      readMember(reader, fields, values, open);
    }
    reader.skip();
    const members = Object.entries(fields).map(([key, field]) => {
      if (values.has(key)) return [key, values.get(key)] as const;
      if (field.fallback === undefined) throw reader.error(`missing field \`${key}\``);
      return [key, field.fallback.value] as const;
    });
    return Object.fromEntries(members) as { [K in keyof F]: F[K] extends Field<infer T> ? T : never };
  };
}

function readMember(reader: JsonReader, fields: Fields, values: Map<string, unknown>, open: boolean): void {
  if (reader.peek() !== '"') throw reader.errorAhead("key must be a string");
  const key = reader.string();
  const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
  if (field === undefined && !open) {
    throw errorLeaving(reader, `unknown field \`${key}\`, ${expectedNames(Object.keys(fields))}`);
  }
  if (values.has(key)) throw errorLeaving(reader, `duplicate field \`${key}\``);
  readColon(reader);
  const value = field === undefined ? anything(reader) : field.read(reader);
  if (field !== undefined) values.set(key, value);
}

function readColon(reader: JsonReader): void {
  const next = reader.peek();
  if (next === undefined) throw reader.errorAhead("EOF while parsing an object");
  if (next !== ":") throw reader.errorAhead("expected `:`");
  reader.skip();
}

/** Any JSON at all. */
export const anything: Schema<unknown> = (reader) => {
  const first = reader.peek();
  if (first === "{") return anyObject(reader);
  if (first === "[") return list(anything)(reader);
  if (first === '"') return reader.string();
  if (first === "t" || first === "f") return bool(reader);
  if (first === "n") return orNull(bool)(reader);
  if (startsNumber(first)) return Number(reader.number().value);
  throw reader.errorAhead(first === undefined ? "EOF while parsing a value" : "expected value");
};

function anyObject(reader: JsonReader): Record<string, unknown> {
  reader.skip();
  const members: [string, unknown][] = [];
  while (hasNext(reader, "}", members.length === 0, "an object")) {
    if (reader.peek() !== '"') throw reader.errorAhead("key must be a string");
    const key = reader.string();
    readColon(reader);
    members.push([key, anything(reader)]);
  }
  reader.skip();
  return Object.fromEntries(members);
}

/** Refuses a value of another type, which is read first so that the position lies behind it. */
function wrongType(reader: JsonReader, expected: string): never {
  throw reader.error(`invalid type: ${describeNext(reader)}, expected ${expected}`);
}

function describeNext(reader: JsonReader): string {
  const first = reader.peek();
  if (first === "{") return "map";
  if (first === "[") return "sequence";
  if (first === '"') return `string ${JSON.stringify(reader.string())}`;
  if (first === "t" || first === "f") return `boolean \`${bool(reader)}\``;
  if (startsNumber(first)) return describeNumber(reader.number());
  if (first !== "n") throw reader.errorAhead(first === undefined ? "EOF while parsing a value" : "expected value");
  reader.word("null");
  return "null";
}

function describeNumber(number: JsonNumber): string {
  if (number.kind === "integer") return `integer \`${number.value}\``;
  const plain = plainFloat(number.value);
  return `floating point \`${/[.e]/.test(plain) ? plain : `${plain}.0`}\``;
}

function plainFloat(value: number): string {
  if (Object.is(value, -0)) return "-0";
  return Math.abs(value) < 1e16 ? String(value) : value.toExponential().replace("e+", "e");
}

function startsNumber(character: string | undefined): boolean {
  return character !== undefined && /^[-0-9]$/.test(character);
}

function expectedNames(names: readonly string[]): string {
  const quoted = names.map((name) => `\`${name}\``);
  return quoted.length <= 2 ? `expected ${quoted.join(" or ")}` : `expected one of ${quoted.join(", ")}`;
}
