import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** A span, as it arrived. */
export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly error: boolean;
  readonly beginNs: bigint;
  readonly endNs: bigint;
}

/** Stands in for an OpenTelemetry collector: takes spans over OTLP/HTTP with JSON, and reads them as the protocol says. */
export interface Collector extends AsyncDisposable {
  readonly endpoint: string;
  readonly spans: readonly CollectedSpan[];
  /** Of the service that sent them. */
  readonly resource: Readonly<Record<string, unknown>>;
  readonly requests: readonly { path: string | undefined; type: string | undefined; key: unknown }[];
  /** All bodies, as they came. */
  readonly received: string;
}

/** How the collector behaves. */
export interface CollectorOptions {
  /** What it answers. Default 200. */
  readonly status?: number;
  /** Takes requests and never answers. */
  readonly isHanging?: boolean;
}

interface KeyValue {
  readonly key: string;
  readonly value: { stringValue?: string; intValue?: number | string; boolValue?: boolean; doubleValue?: number };
}

/** See https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto */
interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

interface WireSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly attributes: readonly KeyValue[];
  readonly status: { readonly code: number };
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

/** Status code of a span that failed. */
const STATUS_ERROR = 2;

/** Opens a collector on a free port of the loopback interface. */
export async function startCollector({ status = 200, isHanging = false }: CollectorOptions = {}): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const requests: { path: string | undefined; type: string | undefined; key: unknown }[] = [];
  const texts: string[] = [];
  let resource: Record<string, unknown> = {};
  const server = createServer(async (request, response) => {
    requests.push({ path: request.url, type: request.headers["content-type"], key: request.headers["x-key"] });
    const text = await bodyOf(request);
    texts.push(text);
    for (const each of (JSON.parse(text) as ExportRequest).resourceSpans) {
      resource = plain(each.resource.attributes);
      spans.push(...each.scopeSpans.flatMap((scope) => scope.spans.map(toSpan)));
    }
    if (!isHanging) response.writeHead(status, { "content-type": "application/json" }).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    get resource() {
      return resource;
    },
    get received() {
      return texts.join("\n");
    },
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function toSpan(span: WireSpan): CollectedSpan {
  return {
    name: span.name,
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
    kind: span.kind,
    attributes: plain(span.attributes),
    error: span.status.code === STATUS_ERROR,
    beginNs: BigInt(span.startTimeUnixNano),
    endNs: BigInt(span.endTimeUnixNano),
  };
}

function plain(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
