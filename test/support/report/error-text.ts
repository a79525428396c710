import { inspect } from "node:util";

/** What an assertion's message, with its difference, has said already. */
const SAID = new Set([
  "generatedMessage",
  "actual",
  "expected",
  "operator",
  "diff",
  "code",
  "failureType",
  "cause",
  "errors",
  "error",
  "suppressed",
]);

/**
 * A thrown value as text: message and stack without the runtime's own frames, further properties, what caused it and
 * what it gathers. The runner's own error, which only wraps what a test threw, is left out.
 */
export function describeError(error: unknown): string {
  const thrown = isWrapper(error) ? error.cause : error;
  if (!(thrown instanceof Error)) return typeof thrown === "string" ? thrown : inspect(thrown, { depth: 6 });
  return [
    stackOf(thrown),
    ...propertiesOf(thrown),
    ...(thrown.cause === undefined ? [] : [`caused by: ${describeError(thrown.cause)}`]),
    ...gathered(thrown).map((each) => `together with: ${describeError(each)}`),
  ].join("\n");
}

function isWrapper(error: unknown): error is Error {
  return error instanceof Error && "failureType" in error && error.cause !== undefined;
}

function stackOf(error: Error): string {
  const stack = error.stack ?? String(error);
  const lines = stack.split("\n").filter((line) => !/^\s+at .*\(?node:/.test(line));
  return lines.join("\n");
}

function propertiesOf(error: Error): string[] {
  const rest = Object.entries(error).filter(([name, value]) => {
    return name === "code" ? value !== "ERR_ASSERTION" : !SAID.has(name);
  });
  return rest.length === 0 ? [] : [inspect(Object.fromEntries(rest), { depth: 4 })];
}

/** What came together: of an error while something was disposed of, the error before it as well. */
function gathered(error: Error): unknown[] {
  if (isSuppressed(error)) return [error.suppressed, error.error];
  return error instanceof AggregateError ? error.errors : [];
}

/** By its name: on its way from the test's process to the runner's it has become an ordinary error. */
function isSuppressed(error: Error): error is SuppressedError {
  return error.name === "SuppressedError" && "suppressed" in error;
}
