import type { Store } from "../store/store.ts";
import { isWarderError } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import type { ShutdownMethod } from "../vm/shutdown.ts";
import { isLive } from "../vm/state.ts";

/** Rungs that could not be written down, by VM and run: only this process knows them. */
const unwritten = new WeakMap<Store, Map<string, ShutdownMethod>>();

/**
 * Writes down that a VM is about to be ended, and by what. A store that takes nothing, as on a full disk, must keep nobody
 * from ending a VM: then this process remembers it.
 *
 * @returns Why it could not be written down; `undefined` where it was.
 */
export function enterRung(store: Store, { id, incarnation }: VmRecord, method: ShutdownMethod): unknown {
  try {
    store.update(id, (record) => (isLive(record.state) ? { ...record, state: "stopping", endedBy: method } : record));
    return undefined;
  } catch (error) {
    if (!isWarderError(error) || !["disk-full", "store-failed"].includes(error.code)) throw error;
    const rungs = unwritten.get(store) ?? new Map<string, ShutdownMethod>();
    unwritten.set(store, rungs.set(`${id} ${incarnation}`, method));
    return error;
  }
}

/** The last rung that was climbed in a VM's run, by whatever process; by this one, where it could not be written down. */
export function lastRung(store: Store, { id, incarnation, endedBy }: VmRecord): ShutdownMethod | undefined {
  return unwritten.get(store)?.get(`${id} ${incarnation}`) ?? store.get(id)?.endedBy ?? endedBy;
}
