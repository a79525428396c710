import { type FieldProblem, WarderError } from "../vm/error.ts";

/** The sentences that say what was being done: each stands at the head of an error, whose cause says why it failed. */
export const contexts = Object.freeze({
  start: "Failed to start Firecracker with Jailer",
  spawn: "Failed to spawn jailer process",
  spawnUnjailed: "Failed to spawn Firecracker process",
  config: "Invalid Jailer configuration",
});

/** The same failure with a sentence before it: code, fields and cure stay, the failure itself becomes the cause. */
export function inContext(context: string, reason: unknown): WarderError {
  const cause = WarderError.from(reason, "internal", "starting a VM");
  return new WarderError(cause.code, {
    doing: context,
    why: `${cause.doing}: ${cause.why}`,
    ...(cause.cure === undefined ? {} : { cure: cause.cure }),
    fields: cause.fields,
    cause,
    cleanup: cause.cleanup,
  });
}

/** Begins every message about a Firecracker that is not there. */
export const BINARY_NOT_FOUND = "Firecracker binary not found at";

/**
 * Refuses where there are problems: all of them in `fields`, the first in the text itself.
 *
 * @throws {@link WarderError} `invalid-argument`; `binary-missing` where nothing else is wrong.
 */
export function refuseProblems(doing: string, problems: readonly FieldProblem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  const isBinaryOnly = problems.every(({ problem }) => problem.startsWith(BINARY_NOT_FOUND));
  throw new WarderError(isBinaryOnly ? "binary-missing" : "invalid-argument", {
    doing,
    why: isSentence(first.problem) ? first.problem : `${first.field} ${first.problem}`,
    fields: problems,
    ...(isBinaryOnly ? { cure: "Name its path in `execFile`, or let `warder setup` install one" } : {}),
  });
}

/** Some problems name what is wrong themselves, others are clauses to the field's name. */
function isSentence(problem: string): boolean {
  return /^(v?[A-Z])/.test(problem);
}

/** {@link refuseProblems}, where a start finds them. */
export function refuseInvalid(id: string, problems: readonly FieldProblem[]): void {
  try {
    refuseProblems(`checking the configuration of ${id}`, problems);
  } catch (error) {
    throw inContext(contexts.config, error);
  }
}
