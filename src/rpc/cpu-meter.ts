import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";

/** A look at how much CPU time a VM had used. */
interface Look {
  readonly incarnation: number;
  readonly microseconds: number;
  readonly at: number;
}

/** VMs whose last look is remembered. */
const LOOKS_MAX = 10_000;

/** Over less than this a share of time says nothing. */
const LEAST_MS = 1_000;

/** How busy VMs are: CPU time since the last look, or since their start. */
export class CpuMeter {
  readonly #now: () => number;
  readonly #looks = new Map<VmId, Look>();

  /** @param now - Milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * CPU time in percent of one core. Looks that come close after one another are told of the same stretch of time.
   *
   * @returns `undefined` where it is not known.
   */
  percentOf(record: Pick<VmRecord, "id" | "incarnation" | "startedAt">, microseconds: number | undefined) {
    const { id, incarnation, startedAt } = record;
    if (microseconds === undefined || startedAt === undefined) return undefined;
    const at = this.#now();
    const before = this.#looks.get(id);
    const isSameRun = before?.incarnation === incarnation && at - before.at >= LEAST_MS;
    const since = isSameRun ? before : { microseconds: 0, at: startedAt };
    if (before?.incarnation !== incarnation || isSameRun) this.#remember(id, { incarnation, microseconds, at });
    const elapsedMs = at - since.at;
    return elapsedMs <= 0 ? undefined : ((microseconds - since.microseconds) / 1000 / elapsedMs) * 100;
  }

  #remember(id: VmId, look: Look): void {
    this.#looks.delete(id);
    this.#looks.set(id, look);
    const [oldest] = this.#looks.keys();
    if (this.#looks.size > LOOKS_MAX && oldest !== undefined) this.#looks.delete(oldest);
  }
}
