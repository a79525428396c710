import { WarderError } from "../../vm/error.ts";

const KEY_MAX_LENGTH = 128;

/** The key of a request; empty is none. */
export function idempotencyOf(idempotencyKey: string): { readonly idempotencyKey?: string } {
  if (idempotencyKey.length > KEY_MAX_LENGTH || !/^[\x21-\x7e]*$/.test(idempotencyKey)) {
    throw wrong("idempotency_key", `must be at most ${KEY_MAX_LENGTH} printable ASCII characters without blanks`);
  }
  return idempotencyKey === "" ? {} : { idempotencyKey };
}

/** One field of a request is wrong. */
export function wrong(field: string, problem: string): WarderError {
  return new WarderError("invalid-argument", {
    doing: "reading the request",
    why: "one field is wrong",
    fields: [{ field, problem }],
  });
}
