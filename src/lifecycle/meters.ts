import { type DeviceTotals, MetricsStream } from "../firecracker/metrics-stream.ts";
import type { VmId } from "../vm/id.ts";
import type { Drains } from "./start-context.ts";

/** What is counted of the VMs whose output this process reads. Forgotten with the VM's run. */
export class Meters {
  readonly #now: () => number;
  readonly #meters = new Map<VmId, { readonly stream: MetricsStream; readonly drains: Drains }>();
  readonly #streams = new Set<MetricsStream>();
  #taken = 0;
  #refused = 0;

  /** @param now - Milliseconds on a clock that never jumps. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts what comes from now on; the returned function ends that. */
  attach(id: VmId, drains: Drains): () => void {
    const meter = { stream: new MetricsStream(this.#now), drains };
    this.#meters.set(id, meter);
    this.#streams.add(meter.stream);
    const stop = drains.metrics.subscribe((chunk) => meter.stream.push(chunk));
    return () => {
      if (!this.#streams.delete(meter.stream)) return;
      stop();
      // A VM that is started again has another meter by now.
      if (this.#meters.get(id) === meter) this.#meters.delete(id);
      this.#taken += meter.stream.taken;
      this.#refused += meter.stream.refused;
    };
  }

  /** What the VM's devices have done; `undefined` where its output is not read by this process. */
  devices(id: VmId): DeviceTotals | undefined {
    return this.#meters.get(id)?.stream.totals;
  }

  /** Bytes of the VM's output that are not kept any more. */
  droppedBytes(id: VmId): { console: number; log: number; metrics: number } | undefined {
    const drains = this.#meters.get(id)?.drains;
    if (drains === undefined) return undefined;
    const { console, log, metrics } = drains;
    return { console: console.droppedBytes, log: log.droppedBytes, metrics: metrics.droppedBytes };
  }

  /** Lines of metrics of all VMs, those that are gone too. */
  get lines(): { readonly taken: number; readonly refused: number } {
    const streams = [...this.#streams];
    return {
      taken: streams.reduce((sum, { taken }) => sum + taken, this.#taken),
      refused: streams.reduce((sum, { refused }) => sum + refused, this.#refused),
    };
  }
}
