/**
 * What it costs a start to be observed: eleven steps that do nothing under one operation, watched by nobody, by the
 * metrics of a daemon, and by metrics and traces. Prints microseconds for each start.
 *
 *   node bench/observer.ts [ROUNDS]
 */
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { runSteps, type Step } from "../src/lifecycle/engine.ts";
import { createCoreObserver } from "../src/observability/core-observer.ts";
import { Metrics } from "../src/observability/metrics/metrics.ts";
import { blindObserver, type Observer } from "../src/observability/observer.ts";
import { blindTracer } from "../src/observability/tracing/span.ts";
import { createTracer } from "../src/observability/tracing/tracer.ts";

const rounds = Number(process.argv[2] ?? 5_000);
const steps: Step<object>[] = Array.from({ length: 11 }, (_, index) => ({
  name: `step-${index}`,
  run: () => undefined,
}));
const clock = {
  now: Date.now,
  nowNanoseconds: () => 0n,
  monotonic: () => performance.now(),
  sleep: async () => undefined,
};
const { signal } = new AbortController();

const { instruments } = new Metrics({ version: "0", ownProcess: false });
const exporter = new InMemorySpanExporter();
const tracer = createTracer({ exporter, serviceName: "bench", serviceVersion: "0", samplingRatio: 1 });
const observers: readonly (readonly [string, Observer])[] = [
  ["nobody", blindObserver],
  ["metrics", createCoreObserver({ instruments, tracer: blindTracer })],
  ["metrics and traces", createCoreObserver({ instruments, tracer })],
];

async function measure(observer: Observer): Promise<number> {
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    const work = () => runSteps(steps, {}, { clock, signal, observer, vmId: "vm-1" });
    await observer.watch({ kind: "operation", name: "run", vmId: "vm-1" }, work);
  }
  return ((performance.now() - began) / rounds) * 1000;
}

for (const [, observer] of observers) await measure(observer);
for (const [name, observer] of observers) {
  const times: number[] = [];
  for (let repeat = 0; repeat < 5; repeat++) times.push(await measure(observer));
  exporter.reset();
  console.log(`${name.padEnd(20)} ${Math.min(...times).toFixed(1)} µs a start`);
}
await tracer.close();
