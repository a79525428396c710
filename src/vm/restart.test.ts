import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ExitCause } from "./exit.ts";
import { decideRestart, isFailure, type RestartPolicy } from "./restart.ts";
import { parseVmSpec } from "./spec.ts";

const onFailure: RestartPolicy = {
  policy: "on-failure",
  maxRetries: 3,
  backoffMs: 100,
  maxBackoffMs: 1_000,
  resetAfterMs: 60_000,
};
const always: RestartPolicy = { policy: "always", backoffMs: 100, maxBackoffMs: 1_000, resetAfterMs: 60_000 };
const run = (cause: ExitCause, retries = 0, ranMs = 0) => ({ cause, retries, ranMs });

describe("what is a failure", () => {
  const failures: ExitCause[] = [
    ...(["guest-panic", "guest-crash", "killed-by-stranger", "firecracker-error", "seccomp"] as const),
    ...(["out-of-memory", "start-failed", "host-reboot", "unknown"] as const),
  ];
  for (const cause of failures) test(`${cause} is one`, () => assert.ok(isFailure(cause)));
  for (const cause of ["guest-ended", "stopped", "killed"] as const) {
    test(`${cause} is none: somebody wanted it`, () => assert.ok(!isFailure(cause)));
  }
});

describe("decideRestart()", () => {
  test("never restarts under never", () => {
    const never: RestartPolicy = { ...always, policy: "never" };
    assert.equal(decideRestart(never, run("guest-panic"), 0).verdict, "end");
  });
  test("restarts after failures only under on-failure, whatever the end was under always", () => {
    assert.equal(decideRestart(onFailure, run("guest-panic"), 0).verdict, "restart");
    assert.deepEqual(decideRestart(onFailure, run("guest-ended"), 0), {
      verdict: "end",
      why: "guest-ended is no failure",
    });
    assert.equal(decideRestart(always, run("guest-ended"), 0).verdict, "restart");
  });
  for (const cause of ["stopped", "killed"] as const) {
    test(`leaves a VM alone that a caller ${cause}`, () =>
      assert.equal(decideRestart(always, run(cause), 0).verdict, "end"));
  }
  test("waits twice as long each time, up to the most", () => {
    const delays = [0, 1, 2, 3, 4, 60].map((retries) => {
      const decision = decideRestart(always, run("unknown", retries), 0);
      return decision.verdict === "restart" ? decision.delayMs : undefined;
    });
    assert.deepEqual(delays, [100, 200, 400, 800, 1_000, 1_000]);
  });
  test("gives up at the ceiling, and says so", () => {
    assert.deepEqual(decideRestart(onFailure, run("unknown", 2), 0), { verdict: "restart", retries: 3, delayMs: 400 });
    assert.match(String(Object.values(decideRestart(onFailure, run("unknown", 3), 0))), /3 times in a row/);
  });
  test("begins anew after a run that was stable", () => {
    assert.deepEqual(decideRestart(onFailure, run("unknown", 3, 60_000), 0), {
      verdict: "restart",
      retries: 1,
      delayMs: 100,
    });
  });
  test("leaves half of each wait to chance, and never waits longer than the most or forever", () => {
    const retries = fc.nat(10_000);
    fc.assert(
      fc.property(retries, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(100_000), (before, random, ranMs) => {
        const decision = decideRestart(always, run("unknown", before, ranMs), random);
        assert.ok(decision.verdict === "restart");
        assert.ok(decision.delayMs >= 50 && decision.delayMs <= 1_000);
        assert.equal(decision.retries, ranMs >= 60_000 ? 1 : before + 1);
      }),
    );
  });
  test("under a ceiling comes to an end, unless the VM becomes stable", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat(59_999), { minLength: 25 }), (maxRetries, runs) => {
        let restarts = 0;
        for (const ranMs of runs) {
          const decision = decideRestart({ ...onFailure, maxRetries }, run("unknown", restarts, ranMs), 0.5);
          if (decision.verdict === "end") break;
          restarts = decision.retries;
        }
        assert.equal(restarts, maxRetries);
      }),
    );
  });
});

describe("the restart policy of a description", () => {
  const restartOf = (restart: object) => parseVmSpec({ kernel: "/k", restart }).restart;
  test("is never where nothing is said", () => assert.equal(parseVmSpec({ kernel: "/k" }).restart.policy, "never"));
  test("has a ceiling of its own for on-failure alone", () => {
    assert.equal(restartOf({ policy: "on-failure" }).maxRetries, 5);
    assert.equal(restartOf({ policy: "on-failure", maxRetries: 9 }).maxRetries, 9);
    assert.equal(restartOf({ policy: "always" }).maxRetries, undefined);
  });
  test("has a longest wait that is not below the first one", () => {
    assert.equal(restartOf({ policy: "always", backoffMs: 90_000 }).maxBackoffMs, 90_000);
    assert.throws(() => restartOf({ policy: "always", backoffMs: 500, maxBackoffMs: 100 }), /must not be below/);
  });
  for (const [what, restart] of [
    ["an unknown policy", { policy: "unless-stopped" }],
    ["no retries", { policy: "on-failure", maxRetries: 0 }],
    ["a busy loop", { policy: "always", backoffMs: 0 }],
    ["an unknown field", { policy: "always", max: 3 }],
  ] as const) {
    test(`is refused with ${what}`, () => assert.throws(() => restartOf(restart), /restart/));
  }
});
