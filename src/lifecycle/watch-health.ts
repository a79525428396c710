import { messageOf } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import { lookAtVm, type VmHealth } from "./health.ts";
import { HealthMonitor, type HealthSettings } from "./health-monitor.ts";
import type { Machinery } from "./machinery.ts";

/** How a host's VMs are looked after: see `[health]` of the configuration. */
export interface WatchHealthSettings extends HealthSettings {
  /** How long one look may take. */
  readonly timeoutMs: number;
}

/**
 * Looks at all VMs of a host again and again, and tells the operator which come to be unhealthy. Changes nothing: what
 * to do about an unhealthy VM is not for a machine to say.
 */
export function watchHealth(machinery: Machinery, settings: WatchHealthSettings): HealthMonitor {
  const { host, store, observer } = machinery;
  return observer.detach(
    () =>
      new HealthMonitor({
        clock: host.clock,
        settings,
        list: () => store.list(),
        look: (record, signal) => lookAgain(machinery, record, { timeoutMs: settings.timeoutMs, signal }),
        onChange: (health, isHealthy) => tell(machinery, health, isHealthy),
        onFailure: (error) => machinery.warn("VMs were not looked at", { error: messageOf(error) }),
      }),
  );
}

/** A VM that is in order with its record as it is now, not as it was when the round began, is not ill: it has ended. */
async function lookAgain(
  machinery: Machinery,
  record: VmRecord,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<VmHealth> {
  const health = await lookAtVm(machinery, record, options);
  if (health.status !== "unhealthy") return health;
  const now = machinery.store.get(record.id);
  const isSameRun = now?.state === record.state && now.incarnation === record.incarnation;
  return isSameRun ? health : { ...health, status: "not-running" };
}

function tell({ warn, note }: Machinery, { id, checks }: VmHealth, isHealthy: boolean): void {
  if (isHealthy) note("VM is healthy again", { vm_id: id });
  else warn("VM is unhealthy", { vm_id: id, problems: problemsOf(checks) });
}

function problemsOf(checks: VmHealth["checks"]): Record<string, string> {
  const found = Object.entries(checks ?? {}).filter(([, { isOk }]) => !isOk);
  return Object.fromEntries(found.map(([name, { problem }]) => [name, problem ?? "it failed"]));
}
