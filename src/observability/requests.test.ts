import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Registry } from "prom-client";
import { startCollector } from "../../test/support/otlp-collector.ts";
import { WarderError } from "../vm/error.ts";
import { currentContext } from "./call-context.ts";
import type { LogLevel } from "./logging/level.ts";
import { createLogger } from "./logging/logger.ts";
import { createInstruments } from "./metrics/instruments.ts";
import { requestWatcher } from "./requests.ts";
import { createOtlpExporter } from "./tracing/otlp.ts";
import { blindTracer, type Tracer } from "./tracing/span.ts";
import { createTracer } from "./tracing/tracer.ts";

function watched(tracer: Tracer = blindTracer, level: LogLevel = "debug") {
  const registry = new Registry();
  const clock = { ms: 0 };
  const written: string[] = [];
  const logger = createLogger({ level }, { write: (line) => void written.push(line) });
  const begin = requestWatcher({ instruments: createInstruments(registry), tracer, logger, now: () => clock.ms });
  return {
    logger,
    clock,
    begin: (headers: Record<string, string> = {}) =>
      begin({ service: "warder.v1.VmService", method: "Run", headers: new Headers(headers) }),
    series: async (pattern: RegExp) => (await registry.metrics()).split("\n").filter((line) => pattern.test(line)),
    lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

const labels = 'service="warder.v1.VmService",method="Run"';

describe("a request", () => {
  test("is counted and timed, and in progress until it is answered", async () => {
    const { begin, clock, series } = watched();
    const request = begin();
    assert.deepEqual(await series(/in_progress\{/), [`warder_rpc_requests_in_progress{${labels}} 1`]);
    clock.ms = 250;
    request.end();
    request.end({ error: new Error("late"), code: "internal" });
    assert.deepEqual(await series(/in_progress\{|requests_total\{|seconds_sum\{/), [
      `warder_rpc_requests_total{${labels},code="ok"} 1`,
      `warder_rpc_request_duration_seconds_sum{${labels}} 0.25`,
      `warder_rpc_requests_in_progress{${labels}} 0`,
    ]);
  });

  test("that fails is counted by its status and logged once, with its code", async () => {
    const { begin, clock, series, lines } = watched(blindTracer, "info");
    const request = begin({ "x-request-id": "abc-1" });
    clock.ms = 1.5;
    request.end({ error: new WarderError("no-room", { doing: "run", why: "no memory" }), code: "resource_exhausted" });
    assert.deepEqual(await series(/requests_total\{/), [
      `warder_rpc_requests_total{${labels},code="resource_exhausted"} 1`,
    ]);
    const [{ time: _time, error: _error, ...line } = {}, ...more] = lines();
    assert.deepEqual(more, []);
    assert.deepEqual(line, {
      level: "warn",
      msg: "request failed",
      request_id: "abc-1",
      service: "warder.v1.VmService",
      method: "Run",
      duration_ms: 1.5,
      status: "resource_exhausted",
      code: "no-room",
    });
  });

  test("that watches and was too slow is counted as such", async () => {
    const { begin, series } = watched();
    begin().end({ error: new WarderError("gone", { doing: "watching", why: "too slow" }), code: "out_of_range" });
    begin().end();
    assert.deepEqual(await series(/^warder_watch_drops/), ["warder_watch_drops_total 1"]);
  });

  test("has its id on every line that is logged for it, and on its answer", async () => {
    const { begin, logger, lines } = watched();
    const request = begin({ "x-request-id": "abc-1" });
    await request.within(async () => {
      await Promise.resolve();
      logger.info("working");
    });
    logger.info("apart");
    request.end();
    assert.deepEqual(request.answerHeaders, { "x-request-id": "abc-1" });
    assert.deepEqual(
      lines().map(({ msg, request_id }) => [msg, request_id]),
      [
        ["working", "abc-1"],
        ["apart", undefined],
        ["request answered", "abc-1"],
      ],
    );
  });

  test("has an id of its own where the caller's is none that can be printed", () => {
    const { begin } = watched();
    assert.match(begin().id, /^req-[0-9a-f-]{36}$/);
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), (given) => {
        const headers = { get: () => given };
        const { id } = requestWatcher({
          instruments: createInstruments(new Registry()),
          tracer: blindTracer,
          logger: createLogger({ level: "silent" }, { write: () => undefined }),
        })({ service: "s", method: "m", headers });
        assert.match(id, /^[A-Za-z0-9._:-]{1,64}$/);
      }),
    );
  });

  test("is a span of its caller's trace, and the parent of what is done for it", async () => {
    await using collector = await startCollector();
    const exporter = createOtlpExporter({ endpoint: collector.endpoint }, () => undefined);
    const tracer = createTracer({ exporter, serviceName: "w", serviceVersion: "1", samplingRatio: 1 });
    const { begin } = watched(tracer);
    const request = begin({ traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
    await request.within(() => tracer.span({ name: "warder run" }, async () => undefined));
    const failed = begin();
    failed.within(() => assert.notEqual(currentContext().traceId, "0af7651916cd43dd8448eb211c80319c"));
    failed.end({ error: new WarderError("wrong-state", { doing: "d", why: "w" }), code: "failed_precondition" });
    request.end();
    await tracer.close();
    const [inner, second, first] = collector.spans;
    assert.deepEqual(
      [first?.name, first?.kind, first?.traceId, first?.parentSpanId, first?.error],
      ["warder.v1.VmService/Run", 2, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", false],
    );
    assert.equal(inner?.parentSpanId, first?.spanId);
    assert.deepEqual([second?.error, second?.attributes["error.type"]], [true, "wrong-state"]);
  });
});
