import * as z from "zod";
import { isWarderError, WarderError } from "../vm/error.ts";
import { type ErrorCode, errorCodes } from "../vm/error-codes.ts";
import { vsockPortLimitsSchema, vsockPortProblem } from "../vm/vsock.ts";

/** Longest line of the protocol, its end included. */
export const LINE_MAX_BYTES = 4096;

const port = z.number().refine((value) => vsockPortProblem(value) === undefined);

/** What a process asks of the one that has the broker: one line of JSON at the beginning of a connection. */
export const controlRequest = z.union([
  /** Connect to the guest. After the answer the connection is the stream. */
  z.strictObject({
    connect: port,
    timeoutMs: z.int().min(1).max(3_600_000).optional(),
    halfClose: z.enum(["hold", "pass"]).optional(),
  }),
  /** Open a port to the guest as long as this connection lasts; each of the guest's connections is told as a line. */
  z.strictObject({ listen: port, limits: vsockPortLimitsSchema }),
  /** Take one of those. After the answer the connection is the stream. */
  z.strictObject({ take: z.int().min(1) }),
]);

/** See {@link controlRequest}. */
export type ControlRequest = z.input<typeof controlRequest>;

/** The first line of every answer. */
export const controlAnswer = z.union([
  z.strictObject({ ok: z.literal(true) }),
  z.strictObject({
    error: z.looseObject({ code: z.string(), doing: z.string(), why: z.string(), cure: z.string().optional() }),
  }),
]);

/** A line on a connection that asked to listen: the guest has connected. */
export const controlNews = z.strictObject({ connection: z.int().min(1) });

/** A message as a line. */
export function toLine(message: unknown): string {
  return `${JSON.stringify(message)}\n`;
}

/** The answer that tells of an error. A text that would be longer than a line is cut. */
export function toErrorLine(error: unknown): string {
  const { code, doing, why, cure } = isWarderError(error)
    ? error
    : WarderError.from(error, "internal", "using a vsock");
  const short = (text: string) => text.slice(0, 512);
  return toLine({
    error: { code, doing: short(doing), why: short(why), ...(cure === undefined ? {} : { cure: short(cure) }) },
  });
}

/** Throws what an answer tells. */
export function requireOk(answer: z.output<typeof controlAnswer>): void {
  if (!("error" in answer)) return;
  const { code, doing, why, cure } = answer.error;
  const known: ErrorCode = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : "internal";
  throw new WarderError(known, { doing, why, ...(cure === undefined ? {} : { cure }) });
}
