import type { Brand } from "./brand.ts";

/** A size in bytes, at most 2^53 - 1. */
export type Bytes = Brand<number, "Bytes">;

/** A size in mebibytes (2^20 bytes). */
export type MiB = Brand<number, "MiB">;

/** A user or group id that is not root's: 1 to 2^32 - 2. */
export type Uid = Brand<number, "Uid">;

const BYTES_PER_MIB = 1024 * 1024;

/** Total: every whole number of MiB is a whole number of bytes. */
export function mibToBytes(mib: number): Bytes {
  return (mib * BYTES_PER_MIB) as Bytes;
}

/** Says what is wrong with a uid or gid for a jail, or `undefined`. */
export function uidProblem(value: number): string | undefined {
  if (!Number.isSafeInteger(value) || value < 0) return "must be a whole number";
  if (value === 0) return "must not be 0: a jail run as root keeps every capability";
  if (value >= 0xffff_ffff) return "must be below 4294967295";
  return undefined;
}
