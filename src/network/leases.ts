/** Numbers that no two VMs have at once. */
export type LeaseKind = "address4" | "interface" | "host-port";

/**
 * Gives one VM numbers that nobody else has until everything of the VM is gone. The store's leases, bound to the VM;
 * all calls for one VM are made in one transaction.
 */
export interface Leases {
  /** A free number of a range; `undefined` where none is free. */
  lease(kind: LeaseKind, range: { readonly first: number; readonly count: number }): number | undefined;
  /** One certain number, or port (`tcp:8080`); false where it is somebody else's. */
  claim(kind: LeaseKind, value: number | string): boolean;
}
