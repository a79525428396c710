import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { contextOn, runCheck } from "../../../test/support/doctor-context.ts";
import { stateChecks } from "./state.ts";

describe("the state database", () => {
  const check = (t: Parameters<typeof contextOn>[0], problems: readonly string[] | undefined) =>
    runCheck(stateChecks, "state-database", contextOn(t, { deps: { stateProblems: () => problems } }));
  test("is fine where it is whole, or not there yet", async (t) => {
    assert.equal((await check(t, [])).status, "ok");
    assert.equal((await check(t, undefined)).status, "ok");
  });
  test("is a problem where anything of it is damaged", async (t) => {
    const verdict = await check(t, ["row 7 missing from index vms_by_end", "page 3: never used"]);
    assert.equal(verdict.status, "problem");
    assert.match(verdict.found, /row 7 missing.*; page 3/);
  });
});
