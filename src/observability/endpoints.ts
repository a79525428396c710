import { fullReport, type ReportFacts } from "./health/full-report.ts";
import type { HostHealth } from "./health/host-health.ts";
import type { Serving } from "./health/serving.ts";
import type { Metrics } from "./metrics/metrics.ts";

/** An answer, for whatever HTTP server serves it. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a `GET` of each path is answered. */
export type Endpoints = Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>>;

/** What the endpoints tell of. */
export interface EndpointParts {
  readonly serving: Serving;
  /** Absent where metrics are not served. */
  readonly metrics?: Metrics;
  readonly lookAtHost: () => Promise<HostHealth>;
  readonly facts: () => ReportFacts;
  /** Milliseconds on a clock that never jumps. */
  readonly now?: () => number;
}

/** Who asks for the full report again within this time gets the same one: anybody may ask. */
const FRESH_MS = 1_000;

/**
 * What supervisors, load balancers and Prometheus ask for. All of it is for anybody who can reach the port; none of it
 * names a VM but the metrics, and none changes anything.
 *
 * - `/health`: the daemon lives. Always 200.
 * - `/ready`: 200 where it takes calls, 503 while it starts or drains.
 * - `/_/health`: the full report, 503 unless all is well.
 * - `/metrics`: Prometheus' text format.
 */
export function createEndpoints({ serving, metrics, lookAtHost, facts, now }: EndpointParts): Endpoints {
  const look = remembered(lookAtHost, now ?? (() => performance.now()));
  return {
    "/health": () => json(200, { status: "ok" }),
    "/ready": () => json(serving.state === "ready" ? 200 : 503, { status: serving.state }),
    "/_/health": async () => {
      const health = await look();
      return json(health.status === "healthy" ? 200 : 503, fullReport(health, facts()));
    },
    ...(metrics === undefined ? {} : { "/metrics": () => metricsText(metrics) }),
  };
}

/** The answer to a scrape. */
export async function metricsText(metrics: Metrics): Promise<HttpAnswer> {
  const body = await metrics.text();
  return { status: 200, headers: { "content-type": metrics.contentType }, body };
}

function json(status: number, document: object): HttpAnswer {
  return {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-cache, no-store, must-revalidate" },
    body: `${JSON.stringify(document)}\n`,
  };
}

/** Does the work once for all who ask while it is done, and shortly after. */
function remembered<T>(work: () => Promise<T>, now: () => number): () => Promise<T> {
  let latest: Promise<T> | undefined;
  let staleAt = Number.POSITIVE_INFINITY;
  return () => {
    if (latest === undefined || now() >= staleAt) {
      staleAt = Number.POSITIVE_INFINITY;
      latest = work().finally(() => {
        staleAt = now() + FRESH_MS;
      });
    }
    return latest;
  };
}
