import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startCollector } from "../../../test/support/otlp-collector.ts";
import { WarderError } from "../../vm/error.ts";
import { currentContext, withContext } from "../call-context.ts";
import { createOtlpExporter } from "./otlp.ts";
import { blindTracer, type Tracer } from "./span.ts";
import { createTracer } from "./tracer.ts";

const silent = () => undefined;

function tracerTo(endpoint: string, samplingRatio = 1, onLost: (count: number) => void = silent): Tracer {
  const exporter = createOtlpExporter({ endpoint, headers: { "x-key": "k1" }, timeoutMs: 500 }, onLost);
  return createTracer({ exporter, serviceName: "warder", serviceVersion: "1.2.3", samplingRatio });
}

describe("spans", () => {
  test("reach a collector over HTTP, with who sends them and the headers that it wants", async () => {
    await using collector = await startCollector();
    const tracer = tracerTo(`${collector.endpoint}/`);
    const answer = await tracer.span({ name: "warder run", attributes: { "warder.vm.id": "vm-1" } }, async () => 7);
    await tracer.close();
    assert.equal(answer, 7);
    assert.deepEqual(collector.requests, [{ path: "/v1/traces", type: "application/json", key: "k1" }]);
    assert.deepEqual(collector.resource, { "service.name": "warder", "service.version": "1.2.3" });
    const [span] = collector.spans;
    assert.deepEqual(
      [span?.name, span?.attributes, span?.error, span?.parentSpanId],
      ["warder run", { "warder.vm.id": "vm-1" }, false, undefined],
    );
    assert.ok((span?.endNs ?? 0n) >= (span?.beginNs ?? 1n));
  });

  test("are parts of the span that is open, also after a wait and side by side", async () => {
    await using collector = await startCollector();
    const tracer = tracerTo(collector.endpoint);
    await tracer.span({ name: "outer" }, async () => {
      await Promise.resolve();
      const inner = (name: string) =>
        tracer.span({ name }, async () => new Promise((resolve) => setImmediate(resolve)));
      await Promise.all([inner("left"), inner("right")]);
    });
    await tracer.span({ name: "apart" }, async () => undefined);
    await tracer.close();
    const byName = new Map(collector.spans.map((span) => [span.name, span]));
    const outer = byName.get("outer");
    for (const name of ["left", "right"]) {
      assert.equal(byName.get(name)?.parentSpanId, outer?.spanId);
      assert.equal(byName.get(name)?.traceId, outer?.traceId);
    }
    assert.notEqual(byName.get("apart")?.traceId, outer?.traceId);
  });

  test("of a request that is part of a trace go on with it, and hand it on", async () => {
    await using collector = await startCollector();
    const tracer = tracerTo(collector.endpoint, 0);
    const headers = new Headers({ traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
    const handedOn = await tracer.span({ name: "rpc", kind: "server", headers }, async () => {
      assert.equal(currentContext().traceId, "0af7651916cd43dd8448eb211c80319c");
      return tracer.outgoingHeaders();
    });
    await tracer.close();
    const [span] = collector.spans;
    assert.deepEqual(
      [span?.traceId, span?.parentSpanId, span?.kind],
      ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 2],
    );
    assert.deepEqual(handedOn, { traceparent: `00-${span?.traceId}-${span?.spanId}-01` });
  });

  test("of a caller that sends nonsense begin a trace of their own", async () => {
    await using collector = await startCollector();
    const tracer = tracerTo(collector.endpoint);
    for (const traceparent of ["", "x", "00-0-0-01", `00-${"0".repeat(32)}-b7ad6b7169203331-01`, "\u00ff".repeat(99)]) {
      await tracer.span({ name: "rpc", headers: new Headers({ traceparent }) }, async () => undefined);
    }
    await tracer.close();
    assert.deepEqual(
      collector.spans.map(({ parentSpanId }) => parentSpanId),
      Array(5).fill(undefined),
    );
  });

  test("tell that they failed, by code, and nothing that a guest or a caller chose", async () => {
    await using collector = await startCollector();
    const tracer = tracerTo(collector.endpoint);
    const error = new WarderError("disk-full", { doing: "staging /srv/secret-name", why: "no room" });
    await assert.rejects(
      tracer.span({ name: "stage" }, () => Promise.reject(error)),
      (reason) => reason === error,
    );
    await tracer.close();
    const [span] = collector.spans;
    assert.deepEqual([span?.error, span?.attributes], [true, { "error.type": "disk-full" }]);
    assert.ok(!collector.received.includes("secret-name"));
  });

  test("are not sent where the share of traces that is kept is none; their ids are there for the log", async () => {
    await using collector = await startCollector();
    const tracer = tracerTo(collector.endpoint, 0);
    await tracer.span({ name: "a" }, async () => assert.match(currentContext().traceId ?? "", /^[0-9a-f]{32}$/));
    await tracer.close();
    assert.deepEqual(collector.spans, []);
  });

  test("that reach no collector are lost and told of, and nobody waits for them", { timeout: 10_000 }, async () => {
    await using collector = await startCollector();
    const { endpoint } = collector;
    await collector[Symbol.asyncDispose]();
    const lost: number[] = [];
    const tracer = tracerTo(endpoint, 1, (count) => lost.push(count));
    await tracer.span({ name: "a" }, async () => undefined);
    await tracer.span({ name: "b" }, async () => undefined);
    await tracer.close();
    assert.deepEqual(lost, [2]);
  });

  test("that a collector refuses are lost and told of", async () => {
    await using collector = await startCollector({ status: 400 });
    const lost: number[] = [];
    const tracer = tracerTo(collector.endpoint, 1, (count) => lost.push(count));
    await tracer.span({ name: "a" }, async () => undefined);
    await tracer.close();
    assert.deepEqual(lost, [1]);
  });

  test("are no more than fit in memory while the collector hangs", { timeout: 20_000 }, async () => {
    await using collector = await startCollector({ isHanging: true });
    const lost: number[] = [];
    const tracer = tracerTo(collector.endpoint, 1, (count) => lost.push(count));
    for (let index = 0; index < 5_000; index++) await tracer.span({ name: "a" }, async () => undefined);
    await tracer.close();
    const sum = lost.reduce((total, count) => total + count, 0);
    assert.ok(sum > 0 && sum <= 2_048 + 512, `${sum} spans were tried`);
  });
});

test("a tracer that records nothing does the work and hands nothing on", async () => {
  assert.equal(await blindTracer.span({ name: "a" }, async () => 7), 7);
  assert.deepEqual(
    withContext({ traceId: "t" }, () => blindTracer.outgoingHeaders()),
    {},
  );
  await blindTracer.close();
});
