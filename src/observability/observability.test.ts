import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startCollector } from "../../test/support/otlp-collector.ts";
import { openObservability } from "./observability.ts";
import { blindTracer } from "./tracing/span.ts";

describe("a daemon that is observed", () => {
  let directory = "";
  before(() => {
    directory = fs.mkdtempSync(join(tmpdir(), "warder-observability-"));
  });
  after(() => fs.rmSync(directory, { recursive: true }));

  test("logs, counts and traces one operation, under one trace id", async () => {
    await using collector = await startCollector();
    const file = join(directory, "a.log");
    const { logger, metrics, observer, ...rest } = await openObservability({
      version: "1.2.3",
      log: { level: "info", target: { file } },
      tracing: { endpoint: collector.endpoint, serviceName: "warder", serviceVersion: "1.2.3", samplingRatio: 1 },
    });
    await observer.watch({ kind: "operation", name: "run", vmId: "vm-1" }, () =>
      observer.watch({ kind: "step", name: "launch", phase: "run" }, () => logger.info("launching")),
    );
    assert.match(await metrics.text(), /^warder_operations_total\{operation="run",code="ok"\} 1$/m);
    await rest[Symbol.asyncDispose]();
    const [line] = fs.readFileSync(file, "utf8").trim().split("\n");
    const logged = JSON.parse(line ?? "");
    const [step, operation] = collector.spans;
    assert.deepEqual([operation?.name, step?.name], ["warder run", "launch"]);
    assert.equal(step?.parentSpanId, operation?.spanId);
    assert.deepEqual([logged.vm_id, logged.trace_id, logged.span_id], ["vm-1", step?.traceId, step?.spanId]);
  });

  test("logs for people where that is asked for, at the level that is set, and into a new file after a rotation", async () => {
    const file = join(directory, "b.log");
    const observability = await openObservability({
      version: "1",
      log: { level: "error", target: { file }, format: "text" },
      perVmMetrics: false,
    });
    const { logger } = observability;
    const bound = logger.with({ part: "x" });
    bound.info("not yet");
    observability.setLogLevel("info");
    bound.info("now");
    while (fs.readFileSync(file, "utf8") === "") await new Promise(setImmediate);
    fs.renameSync(file, `${file}.1`);
    observability.reopenLog();
    await observability[Symbol.asyncDispose]();
    assert.match(fs.readFileSync(`${file}.1`, "utf8"), /^\d\d:\d\d:\d\d\.\d{3} info {2}now part=x\n$/);
    assert.equal(fs.readFileSync(file, "utf8"), "");
  });

  test("records no spans where no collector is named", async () => {
    const observability = await openObservability({ version: "1", log: { level: "silent", target: "stderr" } });
    assert.equal(observability.tracer, blindTracer);
    await observability[Symbol.asyncDispose]();
  });

  test("tells once that its collector is gone, and counts what is lost", async () => {
    const collector = await startCollector();
    await collector[Symbol.asyncDispose]();
    const file = join(directory, "c.log");
    const observability = await openObservability({
      version: "1",
      log: { level: "info", target: { file } },
      tracing: {
        endpoint: collector.endpoint,
        serviceName: "w",
        serviceVersion: "1",
        samplingRatio: 1,
        timeoutMs: 200,
      },
    });
    for (let index = 0; index < 600; index++) await observability.tracer.span({ name: "a" }, async () => undefined);
    await observability.tracer.close();
    assert.match(await observability.metrics.text(), /^warder_trace_spans_lost_total 600$/m);
    await observability[Symbol.asyncDispose]();
    const lines = fs.readFileSync(file, "utf8").trim().split("\n");
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /spans did not reach the collector/);
  });
});
