import { collectDefaultMetrics, Registry } from "prom-client";
import { codeOf } from "../logging/failure.ts";
import type { HostSource } from "./host-sample.ts";
import { HostSeries } from "./host-series.ts";
import { createInstruments, type Instruments } from "./instruments.ts";
import { VmSeries } from "./vm-series.ts";

/** VMs with series of their own: at 24 series each, what a Prometheus takes from one target without notice. */
export const VM_SERIES_LIMIT = 500;

/** A scrape that follows another by less than this gets the same text: measuring is not free, and anybody may ask. */
const FRESH_MS = 1_000;

/** How metrics are kept. */
export interface MetricsOptions {
  /** Of Warder. */
  readonly version: string;
  /** Most VMs that have series of their own. Default {@link VM_SERIES_LIMIT}; 0 for none. */
  readonly vmSeriesLimit?: number;
  /** Whether this process's own metrics (`process_…`, `nodejs_…`) are among them. Default true. */
  readonly ownProcess?: boolean;
  /** Lines that the log could not take so far. */
  readonly droppedLogLines?: () => number;
  /** Milliseconds on a clock that never jumps. */
  readonly now?: () => number;
}

/** All metrics, in a registry of their own. */
export class Metrics {
  readonly registry = new Registry();
  readonly instruments: Instruments;
  readonly #host: HostSeries;
  readonly #vms: VmSeries;
  readonly #now: () => number;
  readonly #droppedLogLines: () => number;
  #source: HostSource | undefined;
  #latest: Promise<string> = Promise.resolve("");
  #staleAt = Number.NEGATIVE_INFINITY;

  constructor(options: MetricsOptions) {
    this.#now = options.now ?? (() => performance.now());
    this.#droppedLogLines = options.droppedLogLines ?? (() => 0);
    this.instruments = createInstruments(this.registry);
    this.#host = new HostSeries(this.registry);
    this.#vms = new VmSeries(this.registry, options.vmSeriesLimit ?? VM_SERIES_LIMIT);
    this.instruments.build.set({ version: options.version, node: process.versions.node }, 1);
    if (options.ownProcess !== false) collectDefaultMetrics({ register: this.registry });
    this.#host.clear();
  }

  /** What is measured at each scrape. Without, only what happens is told. */
  measure(source: HostSource): void {
    this.#source = source;
  }

  /** Of the text. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /**
   * All metrics in Prometheus' text format, measured within the last second. Never fails for the host: what could not
   * be measured is left out, and counted.
   */
  text(): Promise<string> {
    if (this.#now() >= this.#staleAt) {
      this.#staleAt = Number.POSITIVE_INFINITY;
      this.#latest = this.#render().finally(() => {
        this.#staleAt = this.#now() + FRESH_MS;
      });
    }
    return this.#latest;
  }

  async #render(): Promise<string> {
    await this.#collect();
    return this.registry.metrics();
  }

  async #collect(): Promise<void> {
    this.instruments.logLinesDropped.reset();
    this.instruments.logLinesDropped.inc(this.#droppedLogLines());
    if (this.#source === undefined) return;
    try {
      const sample = this.#source.sample();
      this.#host.write(sample);
      for (const error of await this.#vms.write(sample.vms)) this.#countFailure(error);
    } catch (error) {
      this.#host.clear();
      this.#vms.clear();
      this.#countFailure(error);
    }
  }

  #countFailure(error: unknown): void {
    this.instruments.collectFailures.inc();
    this.instruments.failures.inc({ code: codeOf(error) });
  }
}
