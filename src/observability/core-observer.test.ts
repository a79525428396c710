import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Registry } from "prom-client";
import { WarderError } from "../vm/error.ts";
import { errorCodes } from "../vm/error-codes.ts";
import { exitCauses } from "../vm/exit.ts";
import { currentContext, withContext } from "./call-context.ts";
import { createCoreObserver } from "./core-observer.ts";
import { createInstruments } from "./metrics/instruments.ts";
import { adoptionResults, blindObserver, type Observer } from "./observer.ts";
import { blindTracer, type SpanFacts } from "./tracing/span.ts";

function observed(): {
  observer: Observer;
  clock: { ms: number };
  spans: SpanFacts[];
  lines: (pattern: RegExp) => Promise<string[]>;
} {
  const registry = new Registry();
  const clock = { ms: 0 };
  const spans: SpanFacts[] = [];
  const tracer = {
    ...blindTracer,
    span: <T>(facts: SpanFacts, work: () => Promise<T>) => {
      spans.push(facts);
      return work();
    },
  };
  const observer = createCoreObserver({ instruments: createInstruments(registry), tracer, now: () => clock.ms });
  const lines = async (pattern: RegExp) =>
    (await registry.metrics()).split("\n").filter((line) => !line.startsWith("#") && pattern.test(line));
  return { observer, clock, spans, lines };
}

describe("what is observed of the core", () => {
  test("an operation: its outcome, how long it took, and that it goes on", async () => {
    const { observer, clock, lines, spans } = observed();
    const answer = await observer.watch({ kind: "operation", name: "run", vmId: "vm-1" }, async () => {
      clock.ms += 30;
      assert.deepEqual(await lines(/_in_progress\{/), ['warder_operations_in_progress{operation="run"} 1']);
      assert.equal(currentContext().vmId, "vm-1");
      return "started";
    });
    assert.equal(answer, "started");
    assert.deepEqual(await lines(/^warder_operations_total|progress\{|duration_seconds_sum/), [
      'warder_operations_total{operation="run",code="ok"} 1',
      'warder_operation_duration_seconds_sum{operation="run"} 0.03',
      'warder_operations_in_progress{operation="run"} 0',
    ]);
    assert.deepEqual(spans, [{ name: "warder run", attributes: { "warder.vm.id": "vm-1" } }]);
  });

  test("an operation that fails: its code, and the very error for its caller", async () => {
    const { observer, lines } = observed();
    const error = new WarderError("disk-full", { doing: "staging", why: "no room" });
    const failing = async () => observer.watch({ kind: "operation", name: "run" }, () => Promise.reject(error));
    await assert.rejects(failing, (reason) => reason === error);
    const defect = async () =>
      observer.watch({ kind: "operation", name: "run" }, () => {
        throw new TypeError("x");
      });
    await assert.rejects(defect, TypeError);
    assert.deepEqual(await lines(/^warder_operations_total\{|progress\{/), [
      'warder_operations_total{operation="run",code="disk-full"} 1',
      'warder_operations_total{operation="run",code="internal"} 1',
      'warder_operations_in_progress{operation="run"} 0',
    ]);
  });

  test("whatever may be alerted on: there from the start, at 0", async () => {
    const { lines } = observed();
    assert.equal((await lines(/^warder_failures_total\{.* 0$/)).length, Object.keys(errorCodes).length);
    assert.equal((await lines(/^warder_vm_exits_total\{.* 0$/)).length, exitCauses.length);
    assert.equal((await lines(/^warder_adoptions_total\{.* 0$/)).length, adoptionResults.length);
  });

  test("a step: how long it took, and whether it, or taking it back, failed", async () => {
    const { observer, clock, lines, spans } = observed();
    await observer.watch({ kind: "step", name: "launch", phase: "run", vmId: "vm-1" }, () => {
      clock.ms += 12;
    });
    const fail = () => {
      throw new Error("x");
    };
    await assert.rejects(async () => observer.watch({ kind: "step", name: "boot", phase: "run" }, fail));
    await assert.rejects(async () => observer.watch({ kind: "step", name: "boot", phase: "undo" }, fail));
    assert.deepEqual(await lines(/duration_seconds_(sum|count)\{step|(step|undo)_failures_total[ {]\w/), [
      'warder_start_step_duration_seconds_sum{step="launch"} 0.012',
      'warder_start_step_duration_seconds_count{step="launch"} 1',
      'warder_start_step_duration_seconds_sum{step="boot"} 0',
      'warder_start_step_duration_seconds_count{step="boot"} 1',
      'warder_start_step_failures_total{step="boot",phase="run"} 1',
      'warder_start_step_failures_total{step="boot",phase="undo"} 1',
      "warder_undo_failures_total 1",
    ]);
    assert.deepEqual(
      spans.map(({ name }) => name),
      ["launch", "boot", "undo boot"],
    );
  });

  test("happenings: ends, isolation, adoptions, failures that nobody waits for", async () => {
    const { observer, lines } = observed();
    observer.tell({ kind: "vm-ended", cause: "guest-panic", isToRestart: true });
    observer.tell({ kind: "vm-ended", cause: "stopped", isToRestart: false });
    observer.tell({ kind: "isolation-judged", level: "degraded", gaps: ["uid", "limit.memory"] });
    observer.tell({ kind: "adoption", result: "adopted" });
    observer.tell({ kind: "background-failure", code: "cleanup-failed" });
    assert.deepEqual(await lines(/^warder_failures_total.* 1$/), ['warder_failures_total{code="cleanup-failed"} 1']);
    assert.deepEqual(await lines(/^warder_(vm_|isolation|adoptions|background)[^ ]* 1$/), [
      'warder_vm_exits_total{cause="guest-panic"} 1',
      'warder_vm_exits_total{cause="stopped"} 1',
      "warder_vm_restarts_total 1",
      'warder_isolation_judgements_total{level="degraded"} 1',
      'warder_isolation_gaps_total{control="uid"} 1',
      'warder_isolation_gaps_total{control="limit.memory"} 1',
      'warder_adoptions_total{result="adopted"} 1',
      "warder_background_failures_total 1",
    ]);
  });

  test("what outlives a call is no part of it", () => {
    const { observer } = observed();
    const context = withContext({ requestId: "r", vmId: "v" }, () => observer.detach(() => currentContext()));
    assert.deepEqual(context, {});
  });
});

test("an observer that watches nothing does the work, and nothing else", async () => {
  assert.equal(await blindObserver.watch({ kind: "operation", name: "stop" }, () => 7), 7);
  assert.equal(
    blindObserver.detach(() => 8),
    8,
  );
  blindObserver.tell({ kind: "adoption", result: "failed" });
});
