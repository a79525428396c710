import type { Check, CheckContext } from "../check.ts";
import { ok, problem, type Verdict } from "../report.ts";

/** Check of what Warder has written down. */
export const stateChecks: readonly Check[] = [{ code: "state-database", run: checkDatabase }];

/** Looks at all of it, where opening it looks at what costs next to nothing. */
function checkDatabase({ deps }: CheckContext): Verdict {
  const problems = deps.stateProblems();
  if (problems === undefined) return ok("there is none yet");
  return problems.length === 0 ? ok("it is whole") : problem(problems.join("; "));
}
