/** Something that VMs use up, of one host or one tenant. */
export interface Budget {
  /** `memory`, `vcpus`, `vms` …, with `tenant-` before it where it is a tenant's quota. */
  readonly name: string;
  readonly unit: "bytes" | "";
  readonly total: number;
  /** How much of it VMs have reserved that are there, or on their way. */
  readonly reserved: number;
}

/** How much of each thing a VM needs, by the names of budgets. What is absent is not needed. */
export type Demand = Readonly<Partial<Record<string, number>>>;

/** A demand that a budget can not meet. */
export interface Shortage {
  readonly budget: Budget;
  readonly needed: number;
  readonly left: number;
}

/** What is left of a budget: nothing, where more is reserved than there is. */
export function leftOf({ total, reserved }: Budget): number {
  return Math.max(0, total - reserved);
}

/** Every budget that can not meet a demand. Pure: the whole of what admission decides. */
export function shortagesOf(demand: Demand, budgets: readonly Budget[]): readonly Shortage[] {
  return budgets.flatMap((budget) => {
    const needed = demand[budget.name.replace(/^tenant-/, "")] ?? 0;
    const left = leftOf(budget);
    return needed > left ? [{ budget, needed, left }] : [];
  });
}
