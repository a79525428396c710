import type { VmId } from "../vm/id.ts";
import { type VmRecord, withoutOwner } from "../vm/record.ts";
import type { Machinery } from "./machinery.ts";
import { asOwner, hasLivingOwner, isOwn } from "./owner.ts";

type Owned = Pick<Machinery, "host" | "store">;

/**
 * Makes this process the owner of a VM that no living process owns: nobody starts or removes it meanwhile, in this process
 * either. `undefined` where it is owned, gone, or not as wanted any more.
 */
export function claimVm(
  machinery: Owned,
  id: VmId,
  isAsWanted: (record: VmRecord) => boolean = () => true,
): VmRecord | undefined {
  const { host, store } = machinery;
  return store.transaction(() => {
    const record = store.get(id);
    if (record === undefined || hasLivingOwner(machinery, record) || !isAsWanted(record)) return undefined;
    return store.update(id, (current) => ({ ...current, owner: asOwner(host) }));
  });
}

/** Lets go of a VM that is this process's. */
export function disclaimVm(machinery: Owned, id: VmId): void {
  const { store } = machinery;
  if (store.get(id) === undefined) return;
  store.update(id, (record) => (isOwn(machinery, record) ? withoutOwner(record) : record));
}
