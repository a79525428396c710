import type { Clock } from "../host/host.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmHealth } from "./health.ts";

/** VMs that are looked at at the same time. */
const LOOKS_AT_ONCE = 8;

/** How VMs are looked after. */
export interface HealthSettings {
  /** From the end of one round to the next. Default 30 000. */
  readonly intervalMs: number;
  /** How many looks in a row must fail until a VM counts as unhealthy. Default 3. */
  readonly failureThreshold: number;
  /** How many looks in a row must be good until it counts as healthy again. Default 2. */
  readonly recoveryThreshold: number;
}

/** What a monitor works with. */
export interface HealthMonitorParts {
  readonly clock: Clock;
  readonly settings: HealthSettings;
  /** All VMs, whatever their state. */
  readonly list: () => readonly VmRecord[];
  readonly look: (record: VmRecord, signal: AbortSignal) => Promise<VmHealth>;
  /** Called when a VM comes to count as healthy or unhealthy; not for its first good look. */
  readonly onChange: (health: VmHealth, isHealthy: boolean) => void;
  /** Called when a round could not be made, such as for want of the store. */
  readonly onFailure: (error: unknown) => void;
}

interface Standing {
  readonly isHealthy: boolean | undefined;
  /** Looks in a row that speak against it. */
  readonly against: number;
  readonly latest: VmHealth;
}

/**
 * Looks at every VM again and again. One bad look is no illness: Firecracker may be busy with a snapshot, or the host
 * with something else.
 */
export class HealthMonitor implements AsyncDisposable {
  readonly #parts: HealthMonitorParts;
  readonly #closing = new AbortController();
  readonly #standings = new Map<VmId, Standing>();
  readonly #rounds: Promise<void>;

  constructor(parts: HealthMonitorParts) {
    this.#parts = parts;
    this.#rounds = this.#goRound();
  }

  /** Whether a VM counts as healthy; `undefined` where it was not found to be either yet, or does not run. */
  isHealthy(id: VmId): boolean | undefined {
    return this.#standings.get(id)?.isHealthy;
  }

  /** What the latest look found. */
  latest(id: VmId): VmHealth | undefined {
    return this.#standings.get(id)?.latest;
  }

  /** Ends the looking, and what is being looked at. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#rounds;
  }

  async #goRound(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#lookAtAll(signal);
      } catch (error) {
        if (!signal.aborted) this.#parts.onFailure(error);
      }
      // Ended only by the signal, which ends the loop too.
      await this.#parts.clock.sleep(this.#parts.settings.intervalMs, signal).catch(() => undefined);
    }
  }

  async #lookAtAll(signal: AbortSignal): Promise<void> {
    const records = this.#parts.list();
    const known = new Set(records.map(({ id }) => id));
    for (const id of this.#standings.keys()) if (!known.has(id)) this.#standings.delete(id);
    const queue = records.values();
    const worker = async () => {
      for (const record of queue) {
        if (signal.aborted) return;
        this.#take(await this.#parts.look(record, signal));
      }
    };
    await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, worker));
  }

  #take(latest: VmHealth): void {
    if (latest.status === "not-running") {
      this.#standings.delete(latest.id);
      return;
    }
    const before = this.#standings.get(latest.id);
    const after = judge(before, latest, this.#parts.settings);
    this.#standings.set(latest.id, after);
    const isFirstGood = before?.isHealthy === undefined && after.isHealthy === true;
    if (after.isHealthy === undefined || after.isHealthy === before?.isHealthy || isFirstGood) return;
    this.#parts.onChange(latest, after.isHealthy);
  }
}

/** What a VM counts as after one more look. Pure. */
function judge(
  before: Standing | undefined,
  latest: VmHealth,
  { failureThreshold, recoveryThreshold }: HealthSettings,
): Standing {
  const isGood = latest.status === "healthy";
  if (before?.isHealthy === undefined && isGood) return { isHealthy: true, against: 0, latest };
  if (before?.isHealthy === isGood) return { isHealthy: isGood, against: 0, latest };
  const against = (before?.against ?? 0) + 1;
  const isTurned = against >= (isGood ? recoveryThreshold : failureThreshold);
  return isTurned ? { isHealthy: isGood, against: 0, latest } : { isHealthy: before?.isHealthy, against, latest };
}
