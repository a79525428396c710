import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  canTransition,
  decide,
  firstStates,
  hasEnded,
  isLive,
  transitions,
  type VmRequest,
  type VmState,
  vmStates,
} from "./state.ts";

const anyState = fc.constantFrom(...vmStates);

describe("states of a VM", () => {
  test("are the ones that docs/states.md draws, with the same ways between them", () => {
    const text = readFileSync(new URL("../../docs/states.md", import.meta.url), "utf8");
    const [, drawing = ""] = /```mermaid\nstateDiagram-v2\n {2}%% VM\n([\s\S]*?)```/.exec(text) ?? [];
    const arrows = [...drawing.matchAll(/^ {2}(\S+) --> (\S+?)(?: ?:.*)?$/gm)].map(([, from, to]) => `${from} ${to}`);
    const data = vmStates.flatMap((from) => transitions[from].map((to) => `${from} ${to}`));
    const beginnings = firstStates.map((state) => `removed ${state}`);
    assert.deepEqual(arrows.map((arrow) => arrow.replace("[*]", "removed")).sort(), [...data, ...beginnings].sort());
  });
  test("with a process do not last: each leads to an end", () => {
    for (const state of vmStates.filter(isLive)) assert.ok(canTransition(state, "exited"), state);
  });
  test("that have ended lead to a new start or to the removal, and only they and what never ran can be removed", () => {
    for (const state of vmStates.filter(hasEnded)) assert.deepEqual(transitions[state], ["starting", "removed"]);
    for (const state of ["running", "paused", "restarting"] as const)
      assert.ok(!canTransition(state, "removed"), state);
  });
  test("a process runs only after a start", () => {
    fc.assert(
      fc.property(anyState, anyState, (from, to) => {
        if (!isLive(from) && isLive(to) && canTransition(from, to)) assert.equal(to, "starting");
      }),
    );
  });
});

describe("decide()", () => {
  type Verdicts = Readonly<Record<VmRequest, "do" | "done" | "refuse">>;
  const ended: Verdicts = {
    ...{ start: "do", pause: "refuse", resume: "refuse", stop: "done", kill: "done", reboot: "refuse", remove: "do" },
  };
  const busy = { pause: "refuse", resume: "refuse", stop: "do", kill: "do", remove: "refuse" } as const;
  const table: Readonly<Record<VmState, Verdicts>> = {
    created: ended,
    starting: { ...busy, start: "done", reboot: "refuse" },
    running: { ...busy, start: "done", reboot: "do", pause: "do", resume: "done" },
    paused: { ...busy, start: "refuse", reboot: "do", pause: "done", resume: "do" },
    stopping: { ...busy, start: "refuse", reboot: "refuse" },
    exited: ended,
    failed: ended,
    restarting: { ...busy, start: "do", reboot: "do" },
  };
  for (const state of vmStates) {
    for (const [request, verdict] of Object.entries(table[state]) as [VmRequest, string][]) {
      test(`${request} of a VM that is ${state}: ${verdict}`, () => {
        const decision = decide(request, state);
        assert.equal(decision.verdict, verdict);
        if (decision.verdict === "refuse") assert.match(decision.why, new RegExp(`^it is ${state}: [a-z]`));
      });
    }
  }
  test("never has a VM removed that could not be", () => {
    for (const state of vmStates.filter((each) => decide("remove", each).verdict === "do"))
      assert.ok(canTransition(state, "removed"), state);
  });
});
