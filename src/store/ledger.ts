import type { VmId } from "../vm/id.ts";

/**
 * Kinds of host objects. `rules` are the tables of a packet filter; a `process` is named by the jail directory that is in
 * its command line; the others by their path or name.
 */
export const ledgerKinds = [
  "directory",
  "link",
  "mount",
  "cgroup",
  "namespace",
  "interface",
  "rules",
  "socket",
  "fifo",
  "process",
] as const;

/** A kind of host objects. */
export type LedgerKind = (typeof ledgerKinds)[number];

/** Something on the host that is a VM's, written down before it is made and struck out after it is gone. */
export interface LedgerEntry {
  readonly kind: LedgerKind;
  readonly name: string;
}

/** A row of the ledger with its VM. */
export interface LedgerRow extends LedgerEntry {
  readonly vmId: VmId;
}
