import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { realClock } from "../host/real/clock.ts";
import type { ShutdownLadder, ShutdownMethod } from "../vm/shutdown.ts";
import { shutDown } from "./shutdown.ts";

const ladder: ShutdownLadder = [
  { method: "ctrl-alt-del", timeoutMs: 10 },
  { method: "sigterm", timeoutMs: 10 },
  { method: "sigkill", timeoutMs: 1_000 },
];
const never = { signal: new AbortController().signal };

/** A process that ends at one method. */
function target(
  endsAt: ShutdownMethod | undefined,
  answers: Partial<Record<ShutdownMethod, () => Promise<string | undefined>>> = {},
) {
  const end = Promise.withResolvers<void>();
  const applied: ShutdownMethod[] = [];
  return {
    applied,
    ended: end.promise,
    async apply(method: ShutdownMethod) {
      applied.push(method);
      if (method === endsAt) end.resolve();
      return answers[method]?.();
    },
  };
}

describe("shutDown()", () => {
  test("stops at the rung that works", async () => {
    const process = target("sigterm");
    const { endedBy, rungs } = await shutDown(realClock, ladder, process, never);
    assert.equal(endedBy, "sigterm");
    assert.deepEqual(
      rungs.map(({ method, result }) => [method, result]),
      [
        ["ctrl-alt-del", "timed-out"],
        ["sigterm", "ended"],
      ],
    );
    assert.deepEqual(process.applied, ["ctrl-alt-del", "sigterm"]);
  });
  test("does nothing to a process that has ended", async () => {
    const process = { ...target(undefined), ended: Promise.resolve() };
    assert.deepEqual(await shutDown(realClock, ladder, process, never), { endedBy: undefined, rungs: [] });
    assert.deepEqual(process.applied, []);
  });
  test("goes on at once where a rung can not be had, and says why", async () => {
    const process = target("sigkill", {
      "ctrl-alt-del": () => Promise.resolve("no such key"),
      sigterm: () => Promise.reject(new Error("refused")),
    });
    const { rungs } = await shutDown(realClock, ladder, process, never);
    assert.deepEqual(
      rungs.map(({ result, why }) => [result, why]),
      [
        ["skipped", "no such key"],
        ["failed", "refused"],
        ["ended", undefined],
      ],
    );
  });
  test("does not wait longer for a request than for its rung", async () => {
    const process = target("sigkill", { "ctrl-alt-del": () => new Promise(() => undefined) });
    const { rungs } = await shutDown(realClock, ladder, process, never);
    assert.equal(rungs[0]?.result, "timed-out");
  });
  test("tells when no rung helped", async () => {
    const { endedBy, rungs } = await shutDown(realClock, ladder.slice(0, 2), target(undefined), never);
    assert.equal(endedBy, undefined);
    assert.equal(rungs.length, 2);
  });
  test("is given up between rungs", async () => {
    await assert.rejects(
      shutDown(realClock, ladder, target(undefined), { signal: AbortSignal.abort(new Error("enough")) }),
      /enough/,
    );
  });
  test("goes on to the last rung at once when it is cut short, and says so", async () => {
    const cut = new AbortController();
    const patient: ShutdownLadder = ladder.map((rung) => ({ ...rung, timeoutMs: 60_000 }));
    const process = target("sigkill", {
      "ctrl-alt-del": async () => void setImmediate(() => cut.abort()) as undefined,
    });
    const { endedBy, rungs } = await shutDown(realClock, patient, process, { ...never, cut: cut.signal });
    assert.equal(endedBy, "sigkill");
    assert.deepEqual(
      rungs.map(({ method, result, why }) => [method, result, why]),
      [
        ["ctrl-alt-del", "failed", "it was cut short by a kill"],
        ["sigkill", "ended", undefined],
      ],
    );
  });
  test("does not cut the last rung short: there is nothing behind it", async () => {
    const process = target("sigkill");
    const { rungs } = await shutDown(realClock, ladder, process, { ...never, cut: AbortSignal.abort() });
    assert.deepEqual(process.applied, ["sigkill"]);
    assert.equal(rungs[0]?.result, "ended");
  });
});
