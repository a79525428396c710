import { isWarderError, messageOf, WarderError } from "../vm/error.ts";
import { Interrupted } from "./interruption.ts";
import { harmless, paint, printJson, printNote, type Terminal } from "./terminal.ts";

/** The exit status that an error means. */
export function statusOf(error: unknown): number {
  const interrupted = interruptionIn(error);
  return interrupted?.exitStatus ?? WarderError.from(error, "internal", "running").exitStatus;
}

/**
 * Tells an error: for people on standard error, what failed, everything that is wrong, and what to do; for programs as
 * a document on standard output.
 */
export function explain(terminal: Terminal, error: unknown, json: boolean): void {
  // The reader of our output is gone, and knows.
  if (interruptionIn(error)?.message.endsWith("SIGPIPE") === true) return;
  const known = WarderError.from(error, "internal", "running the command");
  if (json) printJson(terminal, { error: known.toJSON() });
  for (const line of explanation(known)) printNote(terminal, line);

  function explanation({ code, doing, why, fields, cure, cleanup }: WarderError): string[] {
    const indented = (label: string, text: string) => `  ${label}${harmless(text).replaceAll("\n", "\n    ")}`;
    return [
      `${paint(terminal.stderr, "bad", "warder:")} ${harmless(`${doing}: ${why}`)} ${paint(terminal.stderr, "dim", `[${code}]`)}`,
      ...fields.map(({ field, problem }) => indented(`${harmless(field)}: `, problem)),
      ...cleanup.map((failure) => indented("and while cleaning up: ", messageOf(failure))),
      ...(cure === undefined ? [] : [indented("", `${cure}.`)]),
      ...(known.code === "internal" ? defectsOf(error).map((stack) => indented("", stack)) : []),
    ];
  }
}

/** Where a defect of Warder's own came up. What Warder has put into words needs no stack. */
function defectsOf(error: unknown): string[] {
  const origin = isWarderError(error) ? error.cause : error;
  return origin instanceof Error && !isWarderError(origin) ? [origin.stack ?? origin.message] : [];
}

function interruptionIn(error: unknown): Interrupted | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 8; current = current.cause, depth++) {
    if (current instanceof Interrupted) return current;
  }
  return undefined;
}
