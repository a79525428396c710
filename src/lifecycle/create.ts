import type { VmSpec } from "../vm/spec.ts";
import { type Idempotency, keepKey } from "./idempotency.ts";
import type { Machinery } from "./machinery.ts";
import { planStart } from "./plan.ts";
import { withRestingIds } from "./quarantine.ts";
import { draftRecord, leaseUser } from "./steps/reserve.ts";

/**
 * Writes a VM down and reserves its leases. Nothing of it is on the host, and nothing runs. What a start would refuse is
 * refused here already, as far as it can be known.
 */
export async function createVm(
  machinery: Machinery,
  spec: VmSpec,
  { signal, idempotency }: { readonly signal: AbortSignal; readonly idempotency?: Idempotency | undefined },
): Promise<void> {
  const { store } = machinery;
  const plan = await planStart(machinery, spec, signal);
  await withRestingIds(machinery, () =>
    store.transaction(() => {
      store.add({ ...draftRecord({ machinery, plan }, { uid: 0, gid: 0 }), state: "created", incarnation: 0 });
      if (idempotency !== undefined) keepKey(store, idempotency, plan.id);
      const user = leaseUser({ machinery, plan });
      return store.update(plan.id, (record) => ({ ...record, ...user }));
    }),
  );
}
