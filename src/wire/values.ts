import type { JsonObject } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";

/** A whole number that the core has as a number, for a field of 64 bits. */
export function toWhole(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(Math.round(value));
}

/** A whole number of 64 bits. Beyond 2^53 it is not exact, and far beyond all that the core takes. */
export function fromWhole(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

/** Milliseconds or a count for a field of 32 bits: what is longer than seven weeks is as good as that. */
export function toShort(value: number): number {
  return Math.min(value, 0xffff_ffff);
}

/** Milliseconds since 1970, which the core has, as a point in time. */
export function toTimestamp(milliseconds: number): Timestamp {
  return timestampFromMs(milliseconds);
}

/** A point in time as milliseconds since 1970; 0 where none is given. */
export function fromTimestamp(timestamp: Timestamp | undefined): number {
  return timestamp === undefined ? 0 : timestampMs(timestamp);
}

/** The same object without its absent members, as the core has objects. */
export function present<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}

/** Members without a field of their own, as JSON; `undefined` where there are none. */
export function toMore(members: object): JsonObject | undefined {
  const json = JSON.parse(JSON.stringify(members)) as JsonObject;
  return Object.keys(json).length === 0 ? undefined : json;
}

/** A member of JSON, whatever it is. */
export type { JsonObject };
