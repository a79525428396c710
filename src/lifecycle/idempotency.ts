import { createHash } from "node:crypto";
import type { Store } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmSpec } from "../vm/spec.ts";

/** What makes a retried call known for the one that it repeats. */
export interface Idempotency {
  /** Chosen by the caller, for one VM. */
  readonly key: string;
  /** Of what is asked for: the same for the same. */
  readonly request: string;
}

const KEY_MAX_LENGTH = 255;

/**
 * A key and what it stands for.
 *
 * @throws {@link WarderError} `invalid-argument`.
 */
export function toIdempotency(key: string, spec: VmSpec): Idempotency {
  return { key: parseIdempotencyKey(key), request: createHash("sha256").update(canonical(spec)).digest("hex") };
}

/** @throws {@link WarderError} `invalid-argument`. */
export function parseIdempotencyKey(key: string): string {
  if (key.length <= KEY_MAX_LENGTH && /^[\x21-\x7e]+$/.test(key)) return key;
  throw new WarderError("invalid-argument", {
    doing: "reading an idempotency key",
    why: "one field is wrong",
    fields: [
      { field: "idempotencyKey", problem: `must be 1 to ${KEY_MAX_LENGTH} printable ASCII characters without blanks` },
    ],
  });
}

/**
 * The VM that was made with this key already.
 *
 * @throws {@link WarderError} `idempotency-conflict` where that was by another request.
 */
export function findMade(store: Store, { key, request }: Idempotency): VmId | undefined {
  const made = store.findByKey(key);
  if (made === undefined) return undefined;
  if (made.request === request) return made.id;
  throw new WarderError("idempotency-conflict", {
    doing: `making a VM with the idempotency key ${JSON.stringify(key)}`,
    why: `the VM ${made.id} was made with it, and described otherwise`,
    cure: "Use a new key for a new request",
  });
}

/** Somebody else made the VM with the same request between the look and the making: it is to be found now. */
export class MadeMeanwhile extends Error {}

/** Keeps the key with a VM's record; inside the transaction that makes it. */
export function keepKey(store: Store, idempotency: Idempotency, id: VmId): void {
  if (findMade(store, idempotency) !== undefined) throw new MadeMeanwhile(`a VM was made with this key meanwhile`);
  store.keepKey(idempotency.key, id, idempotency.request);
}

/** JSON with the members of every object in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([left], [right]) => (left < right ? -1 : 1)));
  });
}
