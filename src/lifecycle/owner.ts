import type { Host } from "../host/host.ts";
import type { OwnerIdentity } from "../vm/process.ts";
import type { VmRecord } from "../vm/record.ts";

/** Each manager opens the host once; a process may have several. */
const managers = new WeakMap<Host, number>();
let count = 0;

/** This manager, as the owner of a VM. */
export function asOwner(host: Host): OwnerIdentity {
  const manager = managers.get(host) ?? ++count;
  managers.set(host, manager);
  return { ...host.processes.self, manager };
}

/** Whether this very manager owns the VM: not another process, nor another manager in this one. */
export function isOwn({ host }: { readonly host: Host }, { owner }: VmRecord): boolean {
  const self = asOwner(host);
  return (["pid", "startTicks", "bootId", "manager"] as const).every((name) => owner?.[name] === self[name]);
}

/** Whether a manager that lives looks after the VM. */
export function hasLivingOwner({ host }: { readonly host: Host }, { owner }: VmRecord): boolean {
  if (owner === undefined) return false;
  const { self } = host.processes;
  const isSelf = owner.pid === self.pid && owner.startTicks === self.startTicks && owner.bootId === self.bootId;
  return isSelf || host.processes.isAlive(owner);
}
