/** Firecracker's metrics: one JSON line at the start, for each flush, every minute and at the end. */
import type { Release } from "../common/release.ts";
import { metricNames } from "./metric-names.ts";
import { openSink, writeLine } from "./sink.ts";

const PERIOD_MS = 60_000;

const EMPTY_AGGREGATE = { min_us: 0, max_us: 0, sum_us: 0 };

/** The metrics of one process. Only a few counters are counted; the others are there, and 0. */
export class Metrics {
  readonly #release: Release;
  readonly #counters = new Map<string, number>();
  #file: number | undefined;

  constructor(release: Release) {
    this.#release = release;
  }

  get isConfigured(): boolean {
    return this.#file !== undefined;
  }

  /** Throws what opening the file throws. `path` is translated already. */
  configure(path: string): void {
    this.#file = openSink(path, this.#release);
    setInterval(() => this.flush(), PERIOD_MS).unref();
  }

  /** Counts one event, named `group.counter`. */
  count(name: string, by = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
  }

  /** Writes a line, or drops it and counts that. Counters start again, as in the real one. */
  flush(): void {
    if (this.#file === undefined) return;
    const groups = metricNames().map(([group, names]) => [group, this.#group(group, names)]);
    const line = JSON.stringify({ utc_timestamp_ms: Date.now(), ...Object.fromEntries(groups) });
    this.#counters.clear();
    if (!writeLine(this.#file, `${line}\n`)) this.count("logger.missed_metrics_count");
  }

  #group(group: string, names: readonly string[]): Record<string, unknown> {
    const value = (name: string) => this.#counters.get(`${group}.${name}`) ?? 0;
    return Object.fromEntries(names.map((name) => [name, name.endsWith("_agg") ? EMPTY_AGGREGATE : value(name)]));
  }
}
