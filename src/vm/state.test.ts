import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { canTransition, decide, isLive, type VmRequest, vmStates } from "./state.ts";

const requests: VmRequest[] = ["pause", "resume", "stop", "kill", "remove"];
const anyState = fc.constantFrom(...vmStates);

describe("states of a VM", () => {
  test("the final ones lead nowhere", () => {
    fc.assert(
      fc.property(anyState, anyState, (from, to) => {
        if (!isLive(from)) assert.equal(canTransition(from, to), false);
      }),
    );
  });
  test("every living one can fail and end", () => {
    for (const state of vmStates.filter(isLive)) {
      assert.ok(canTransition(state, "exited"), state);
      assert.ok(canTransition(state, "failed"), state);
    }
  });
  test("nothing comes back to life", () => {
    for (const state of vmStates) assert.equal(canTransition(state, "starting"), false);
  });
});

describe("decide()", () => {
  const table = {
    starting: { pause: "refuse", resume: "refuse", stop: "do", kill: "do", remove: "refuse" },
    running: { pause: "do", resume: "done", stop: "do", kill: "do", remove: "refuse" },
    paused: { pause: "done", resume: "do", stop: "do", kill: "do", remove: "refuse" },
    stopping: { pause: "refuse", resume: "refuse", stop: "do", kill: "do", remove: "refuse" },
    exited: { pause: "refuse", resume: "refuse", stop: "done", kill: "done", remove: "do" },
    failed: { pause: "refuse", resume: "refuse", stop: "done", kill: "done", remove: "do" },
  } as const;
  for (const state of vmStates) {
    for (const request of requests) {
      test(`${request} of a VM that is ${state}: ${table[state][request]}`, () => {
        const decision = decide(request, state);
        assert.equal(decision.verdict, table[state][request]);
        if (decision.verdict === "refuse") assert.match(decision.why, new RegExp(`it is ${state}`));
      });
    }
  }
});
