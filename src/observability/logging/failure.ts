import { isWarderError, messageOf, WarderError } from "../../vm/error.ts";
import { type ErrorCode, errorCodes, type WireCode } from "../../vm/error-codes.ts";

/** How serious a message is. */
export type Severity = "debug" | "info" | "warn" | "error";

/** Failures that are the host's or Warder's own; the others are answers to what a caller asked. */
const severities: Partial<Record<WireCode, Severity>> = {
  internal: "error",
  unavailable: "error",
  resource_exhausted: "warn",
  deadline_exceeded: "warn",
  permission_denied: "warn",
};

/** The code of anything thrown: what is no {@link WarderError} is a defect. */
export function codeOf(error: unknown): ErrorCode {
  return WarderError.from(error, "internal", "").code;
}

/** How serious a failure is for who runs the host: a caller's mistake is none of theirs. */
export function severityOf(error: unknown): Severity {
  return severities[errorCodes[codeOf(error)].wire] ?? "info";
}

/** What a log line says of a failure. The stack is there for defects only: the other codes say what to do instead. */
export function failureFields(error: unknown): Record<string, unknown> {
  const code = codeOf(error);
  const stack = code === "internal" ? stackOf(error) : undefined;
  return {
    code,
    error: isWarderError(error) ? error.toJSON() : { message: messageOf(error) },
    ...(error instanceof Error && error.cause !== undefined ? { cause: messageOf(error.cause) } : {}),
    ...(stack === undefined ? {} : { stack }),
  };
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
