import type { Warder } from "../../lifecycle/warder.ts";
import { hasEnded } from "../../vm/state.ts";

/** VMs that are ended at the same time: each costs the host some work. */
const AT_ONCE = 8;

interface Told {
  readonly info: (message: string, details: Readonly<Record<string, unknown>>) => void;
  readonly failure: (message: string, error: unknown, details: Readonly<Record<string, unknown>>) => void;
}

/** Ends every VM in order. One that can not be ended is told of, and the others are ended all the same. */
export async function endVms(warder: Warder, told: Told, signal: AbortSignal): Promise<void> {
  const vms = warder.list({ all: true }).filter(({ state }) => !hasEnded(state) && state !== "created");
  told.info("ending VMs", { vms: vms.length });
  const queue = vms.values();
  const worker = async () => {
    for (const vm of queue) {
      try {
        await vm.stop({ signal });
      } catch (error) {
        told.failure("VM was not ended", error, { vm_id: vm.id });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
