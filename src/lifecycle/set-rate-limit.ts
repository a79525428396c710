import { WarderError } from "../vm/error.ts";
import type { RateLimit } from "../vm/rate-limit.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmState } from "../vm/state.ts";
import { connectApi } from "./api.ts";
import type { Machinery } from "./machinery.ts";
import { applyRateLimit, describeDevice, type LimitedDevice, withRateLimit } from "./rate-limits.ts";

/** States in which there is no Firecracker to tell, and the next one gets what is set from the record. */
export const atRest: readonly VmState[] = ["created", "exited", "failed", "restarting"];

/**
 * Limits a device of a VM: first in its Firecracker, where it has one, then in its record, for all that follow.
 *
 * @throws {@link WarderError} `invalid-argument` where the VM has no such device; `wrong-state` while it starts or stops;
 * `rate-limit-lost`; what the client throws. The record is as before then.
 */
export async function setRateLimit(
  { host, store }: Machinery,
  record: VmRecord,
  device: LimitedDevice,
  limit: RateLimit | undefined,
  signal: AbortSignal,
): Promise<void> {
  const changed = withRateLimit(record, device, limit);
  if (record.state === "running" || record.state === "paused") {
    const client = connectApi(host, record);
    try {
      await applyRateLimit(client, changed, device, signal);
    } finally {
      client.close();
    }
  } else if (!atRest.includes(record.state)) {
    throw new WarderError("wrong-state", {
      doing: `limiting ${describeDevice(device)} of ${record.id}`,
      why: `it is ${record.state}`,
      cure: "Try again when it runs or has ended",
    });
  }
  store.update(record.id, (current) => withRateLimit(current, device, limit));
}
