/** What is written on a span. Ids and names of closed sets; never what a guest or a caller chose freely. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** What a span stands for. */
export interface SpanFacts {
  readonly name: string;
  readonly kind?: "internal" | "server" | "client";
  readonly attributes?: SpanAttributes;
  /** Headers of a request that came in: the span becomes part of its caller's trace. */
  readonly headers?: HeaderReader;
}

/** Headers that can be looked up by their name in lower case. */
export interface HeaderReader {
  get(name: string): string | null | undefined;
}

/** Records spans. What `work` does is seen as a part of the span, by way of the call's context. */
export interface Tracer {
  span<T>(facts: SpanFacts, work: () => Promise<T>): Promise<T>;
  /** Headers by which a request that goes out becomes part of the trace: W3C Trace Context. Empty without a span. */
  outgoingHeaders(): Record<string, string>;
  /** Sends what waits to be sent, and ends. */
  close(): Promise<void>;
}

/** Records nothing. */
export const blindTracer: Tracer = Object.freeze({
  span: <T>(_facts: SpanFacts, work: () => Promise<T>) => work(),
  outgoingHeaders: () => ({}),
  close: async () => undefined,
});
