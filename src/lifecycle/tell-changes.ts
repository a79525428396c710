import type { Observer } from "../observability/observer.ts";
import type { Store } from "../store/store.ts";
import type { VmChange } from "../vm/change.ts";
import type { VmRecord } from "../vm/record.ts";

/**
 * Tells an observer how VMs end and how isolated they are, out of what this process writes to the store: whatever way a
 * VM came there, it is told once.
 *
 * @returns Ends that.
 */
export function tellChanges(store: Store, observer: Observer): () => void {
  return store.changes.subscribe((change) => {
    const record = store.get(change.id);
    if (record === undefined) return;
    if (change.state === "running" && change.previous === "starting") tellIsolation(record, observer);
    else tellEnd(change, record, observer);
  });
}

function tellIsolation({ isolation }: VmRecord, observer: Observer): void {
  if (isolation === undefined) return;
  const gaps = isolation.controls.filter(({ ok }) => !ok).map(({ name }) => name);
  observer.tell({ kind: "isolation-judged", level: isolation.level, gaps });
}

function tellEnd({ state }: VmChange, record: VmRecord, observer: Observer): void {
  if (state === "restarting") {
    const exit = record.history.at(-1)?.exit;
    if (exit !== undefined) observer.tell({ kind: "vm-ended", cause: exit.cause, isToRestart: true });
  } else if (state === "exited" || state === "failed") {
    if (record.exit !== undefined) observer.tell({ kind: "vm-ended", cause: record.exit.cause, isToRestart: false });
  }
}
