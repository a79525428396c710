import {
  type Context,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { currentContext, withContext } from "../call-context.ts";
import { codeOf } from "../logging/failure.ts";
import type { HeaderReader, Tracer } from "./span.ts";

/** How spans are recorded. */
export interface TracerOptions {
  readonly exporter: SpanExporter;
  readonly serviceName: string;
  readonly serviceVersion: string;
  /** Share of the traces begun here that are recorded, 0 to 1. A trace begun elsewhere is recorded if it is there. */
  readonly samplingRatio: number;
}

/** Spans that wait to be sent at most; those beyond are lost. */
const QUEUE_LENGTH = 2_048;
const BATCH_LENGTH = 512;
const SEND_EVERY_MS = 2_000;
const SEND_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 5_000;

const kinds = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT };
const propagator = new W3CTraceContextPropagator();

/** Records spans and hands them to an exporter. Touches no global of OpenTelemetry: those are the application's. */
export function createTracer(options: TracerOptions): Tracer {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": options.serviceName,
      "service.version": options.serviceVersion,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.samplingRatio) }),
    spanLimits: { attributeCountLimit: 32, attributeValueLengthLimit: 256, eventCountLimit: 8, linkCountLimit: 0 },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: options.exporter,
        maxQueueSize: QUEUE_LENGTH,
        maxExportBatchSize: BATCH_LENGTH,
        scheduledDelayMillis: SEND_EVERY_MS,
        exportTimeoutMillis: SEND_TIMEOUT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer("warder", options.serviceVersion);
  return {
    async span({ name, kind = "internal", attributes = {}, headers }, work) {
      const parent = headers === undefined ? (currentContext().tracing ?? ROOT_CONTEXT) : contextOf(headers);
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, parent);
      return withContext(callContext(span, parent), () => ended(span, work));
    },
    outgoingHeaders() {
      const headers: Record<string, string> = {};
      const { tracing } = currentContext();
      if (tracing !== undefined) {
        propagator.inject(tracing, headers, defaultTextMapSetter);
      }
      return headers;
    },
    async close() {
      // What has just been done ends its span within this turn of the event loop.
      await new Promise((resolve) => void setImmediate(resolve));
      // Spans that can not be sent are told of by the exporter; an end does not wait for a collector that is gone.
      const sent = provider.shutdown().catch(() => undefined);
      await Promise.race([sent, new Promise((resolve) => void setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())]);
    },
  };
}

/** Does the work of a span, and ends it with what became of that. */
async function ended<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // Not the message: it may hold a caller's paths, or a guest's output.
    span.setAttribute("error.type", codeOf(error)).setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

function callContext(span: Span, parent: Context) {
  const { traceId, spanId } = span.spanContext();
  return { tracing: trace.setSpan(parent, span), traceId, spanId };
}

function contextOf(headers: HeaderReader): Context {
  return propagator.extract(ROOT_CONTEXT, headers, {
    get: (carrier, name) => carrier.get(name) ?? undefined,
    keys: () => [],
  });
}
