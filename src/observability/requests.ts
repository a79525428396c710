import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { WireCode } from "../vm/error-codes.ts";
import { withContext } from "./call-context.ts";
import { codeOf } from "./logging/failure.ts";
import type { Logger } from "./logging/logger.ts";
import type { Instruments } from "./metrics/instruments.ts";
import type { HeaderReader, Tracer } from "./tracing/span.ts";

/** The header by which a request is known in logs: the caller's own, where it sends one that can be printed. */
export const REQUEST_ID_HEADER = "x-request-id";

/** A request that came in. Service and method are of the closed set that the daemon serves, never the caller's text. */
export interface RequestFacts {
  readonly service: string;
  readonly method: string;
  readonly headers: HeaderReader;
}

/** What became of a request: nothing where it succeeded. */
export interface RequestFailure {
  readonly error: unknown;
  /** What the caller is told. */
  readonly code: WireCode;
}

/** A request that is not answered yet. */
export interface OpenRequest {
  readonly id: string;
  /** For the answer: the request's id, and its place in the caller's trace. */
  readonly answerHeaders: Readonly<Record<string, string>>;
  /** Does a part of the work: log lines, spans and calls that go out meanwhile belong to the request. */
  within<T>(work: () => T): T;
  /** It is answered. Counted, timed, and its failure logged. Once only; later calls do nothing. */
  end(failure?: RequestFailure): void;
}

/** What requests are watched with. */
export interface RequestParts {
  readonly instruments: Instruments;
  readonly tracer: Tracer;
  readonly logger: Logger;
  /** Milliseconds on a clock that never jumps. */
  readonly now?: () => number;
}

/** Begins a request; see {@link OpenRequest}. */
export type BeginRequest = (facts: RequestFacts) => OpenRequest;

/** Watches requests from their beginning to their end: one place for their ids, metrics, spans and failures. */
export function requestWatcher({
  instruments,
  tracer,
  logger,
  now = () => performance.now(),
}: RequestParts): BeginRequest {
  return ({ service, method, headers }) => {
    const id = requestIdOf(headers);
    const began = now();
    const inProgress = instruments.requestsRunning.labels({ service, method });
    inProgress.inc();
    const place = openSpan(tracer, id, { service, method, headers });
    let isOver = false;
    return {
      id,
      answerHeaders: { [REQUEST_ID_HEADER]: id },
      within: place.within,
      end(failure) {
        if (isOver) return;
        isOver = true;
        const durationMs = now() - began;
        inProgress.dec();
        instruments.requests.inc({ service, method, code: failure?.code ?? "ok" });
        if (failure !== undefined && codeOf(failure.error) === "gone") instruments.watchDrops.inc();
        instruments.requestSeconds.observe({ service, method }, durationMs / 1000);
        place.within(() => tell(logger, { service, method, durationMs }, failure));
        place.end(failure);
      },
    };
  };
}

/** The request's span, held open until it is ended, and the context in which its work is done. */
function openSpan(tracer: Tracer, requestId: string, { service, method, headers }: RequestFacts) {
  const done = Promise.withResolvers<void>();
  let within: <T>(work: () => T) => T = (work) => work();
  const attributes = { "rpc.system": "connect_rpc", "rpc.service": service, "rpc.method": method };
  const span = withContext({ requestId }, () =>
    tracer.span({ name: `${service}/${method}`, kind: "server", attributes, headers }, () => {
      within = AsyncLocalStorage.snapshot();
      return done.promise;
    }),
  );
  // A failure is its caller's: here it only colours the span.
  span.catch(() => undefined);
  return {
    within: <T>(work: () => T) => within(work),
    end: (failure?: RequestFailure) => (failure === undefined ? done.resolve() : done.reject(failure.error)),
  };
}

function tell(
  logger: Logger,
  { service, method, durationMs }: { service: string; method: string; durationMs: number },
  failure: RequestFailure | undefined,
): void {
  const details = { service, method, duration_ms: Math.round(durationMs * 1000) / 1000 };
  if (failure === undefined) logger.debug("request answered", details);
  else logger.failure("request failed", failure.error, { ...details, status: failure.code });
}

function requestIdOf(headers: HeaderReader): string {
  const given = headers.get(REQUEST_ID_HEADER) ?? "";
  return /^[A-Za-z0-9._:-]{1,64}$/.test(given) ? given : `req-${randomUUID()}`;
}
