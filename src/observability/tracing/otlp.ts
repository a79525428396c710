import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";

/** Where spans go: OTLP over HTTP, as JSON. */
export interface OtlpOptions {
  /** Of the collector, such as `http://localhost:4318`; `/v1/traces` is added. */
  readonly endpoint: string;
  /** Sent with every batch, such as a key of the collector's. Secret. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long one batch may take. Default 10 000. */
  readonly timeoutMs?: number;
}

/** Told when spans are lost. */
export type OnSpansLost = (count: number, why: unknown) => void;

/** Sends spans to a collector. Those that it does not take are lost, and told of. */
export function createOtlpExporter(options: OtlpOptions, onLost: OnSpansLost): SpanExporter {
  const exporter = new OTLPTraceExporter({
    url: `${options.endpoint.replace(/\/$/, "")}/v1/traces`,
    headers: { ...options.headers },
    timeoutMillis: options.timeoutMs ?? 10_000,
  });
  return {
    export(spans: ReadableSpan[], done: (result: ExportResult) => void) {
      exporter.export(spans, (result) => {
        if (result.code !== ExportResultCode.SUCCESS) onLost(spans.length, result.error);
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}
