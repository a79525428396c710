import { createCoreObserver } from "./core-observer.ts";
import { type LogDestination, type LogTarget, openLogDestination } from "./logging/destination.ts";
import type { LogLevel } from "./logging/level.ts";
import { createLogger, type Logger, type SettableLogger } from "./logging/logger.ts";
import { textLine } from "./logging/text-line.ts";
import { Metrics } from "./metrics/metrics.ts";
import type { Observer } from "./observer.ts";
import { type BeginRequest, requestWatcher } from "./requests.ts";
import { blindTracer, type Tracer } from "./tracing/span.ts";

/** How a daemon is observed. */
export interface ObservabilityOptions {
  /** Of Warder. */
  readonly version: string;
  readonly log: {
    readonly level: LogLevel;
    readonly target: LogTarget;
    /** Default `json`. */
    readonly format?: "json" | "text";
  };
  /** Whether single VMs have series of their own. Default true. */
  readonly perVmMetrics?: boolean;
  /** Absent: spans are not recorded, and cost nothing. */
  readonly tracing?: TracingOptions;
}

/** Where spans go, and which. */
export interface TracingOptions {
  /** Of an OTLP collector that takes HTTP, such as `http://localhost:4318`. */
  readonly endpoint: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly serviceVersion: string;
  /** Share of the traces begun here that are kept, 0 to 1. */
  readonly samplingRatio: number;
  /** How long a batch of spans may take, retries included. Default 10 000. */
  readonly timeoutMs?: number;
}

/** Everything by which a daemon tells of itself. The composition root of this room. */
export interface Observability extends AsyncDisposable {
  /** Also the core's `Reporter`. */
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** For the core: `Warder.open({ reporter: logger, observer })`. */
  readonly observer: Observer;
  /** For each request that comes in. */
  readonly beginRequest: BeginRequest;
  setLogLevel(level: LogLevel): void;
  /** Opens a log file again, after its rotation. */
  reopenLog(): void;
  /** Sends and writes what waits, within some seconds. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens it all. The OpenTelemetry SDK is only loaded where traces are sent.
 *
 * @throws {@link WarderError} `invalid-config` and its kin where the log can not be opened.
 */
export async function openObservability(options: ObservabilityOptions): Promise<Observability> {
  const destination = await openLogDestination(options.log.target);
  const logger = loggerTo(destination, options.log);
  const metrics = new Metrics({
    version: options.version,
    ...(options.perVmMetrics === false ? { vmSeriesLimit: 0 } : {}),
    droppedLogLines: () => destination.droppedLines,
  });
  const { instruments } = metrics;
  const tracer = options.tracing === undefined ? blindTracer : await openTracer(options.tracing, logger, metrics);
  return {
    logger,
    metrics,
    tracer,
    observer: createCoreObserver({ instruments, tracer }),
    beginRequest: requestWatcher({ instruments, tracer, logger }),
    setLogLevel: (level) => logger.setLevel(level),
    reopenLog: () => destination.reopen(),
    async [Symbol.asyncDispose]() {
      await tracer.close();
      await destination.close();
    },
  };
}

function loggerTo(destination: LogDestination, { level, format }: ObservabilityOptions["log"]): SettableLogger {
  const write = format === "text" ? (line: string) => destination.write(textLine(line)) : destination.write;
  return createLogger({ level }, { write });
}

/** How often it is told that spans are lost, at most: a collector that is down loses some every few seconds. */
const LOST_TOLD_EVERY_MS = 60_000;

async function openTracer(options: TracingOptions, logger: Logger, { instruments }: Metrics): Promise<Tracer> {
  const [{ createOtlpExporter }, { createTracer }] = await Promise.all([
    import("./tracing/otlp.ts"),
    import("./tracing/tracer.ts"),
  ]);
  let toldAt = Number.NEGATIVE_INFINITY;
  const exporter = createOtlpExporter(options, (count, why) => {
    instruments.spansLost.inc(count);
    if (performance.now() - toldAt < LOST_TOLD_EVERY_MS) return;
    toldAt = performance.now();
    logger.warn("spans did not reach the collector", { endpoint: options.endpoint, count, error: why });
  });
  return createTracer({ ...options, exporter });
}
