import { defaultTenant, type Tenant } from "../../vm/belongings.ts";
import { WarderError } from "../../vm/error.ts";
import type { ErrorCode } from "../../vm/error-codes.ts";
import type { VmId } from "../../vm/id.ts";
import type { VmRecord } from "../../vm/record.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { hasEnded } from "../../vm/state.ts";
import { type Budget, type Demand, leftOf, type Shortage, shortagesOf } from "./budget.ts";
import { type DemandDeps, demandOf, heldBy, sumOf } from "./demand.ts";

/** How much there is of everything, by the names of budgets. */
export type Totals = Readonly<Partial<Record<string, number>>>;

/** What admission looks at. */
export interface AdmissionDeps {
  /** All VMs of the host. */
  readonly records: () => readonly Pick<VmRecord, "id" | "state" | "spec">[];
  /** What the host has for VMs, reserved or not; of disk room what is free now. */
  readonly totals: () => Totals;
  /** What a tenant may have at most; what is absent is not limited. */
  readonly quotaOf: (tenant: Tenant) => Totals;
  readonly demand: () => DemandDeps;
}

/** A VM on its way: counted until the VM itself is. */
interface Reservation {
  readonly id: VmId;
  readonly tenant: Tenant;
  readonly demand: Demand;
}

const units: Readonly<Record<string, Budget["unit"]>> = { memory: "bytes", disk: "bytes" };

/**
 * Says whether the host, and the tenant's quota, have room for a VM, counting all VMs that are there and all that are on
 * their way. Looking and reserving is one step, so that however many callers come at once, no more is given than there is.
 */
export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #underWay = new Map<VmId, Reservation>();

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /**
   * Reserves what a VM needs until the returned function is called: when its record says the same, or it has failed.
   *
   * @throws {@link WarderError} `no-room` or `quota-exceeded`, with everything that is short and how much of it is left.
   */
  reserve(id: VmId, spec: VmSpec): () => void {
    const tenant = spec.tenant ?? defaultTenant;
    const demand = demandOf(spec, this.#deps.demand());
    const own = this.#budgetsOfTenant(tenant, id);
    refuse("quota-exceeded", `the tenant ${tenant} may not have more`, id, shortagesOf(demand, own));
    refuse("no-room", "the host has no room for it", id, shortagesOf(demand, this.#budgetsOfHost(id)));
    const reservation = { id, tenant, demand };
    this.#underWay.set(id, reservation);
    return () => {
      if (this.#underWay.get(id) === reservation) this.#underWay.delete(id);
    };
  }

  /** What there is and what is reserved: of the host, and of a tenant where one is named. */
  budgets(tenant?: Tenant): readonly Budget[] {
    return [...this.#budgetsOfHost(), ...(tenant === undefined ? [] : this.#budgetsOfTenant(tenant))];
  }

  #budgetsOfHost(except?: VmId): readonly Budget[] {
    return toBudgets(
      this.#deps.totals(),
      this.#reserved(() => true, except),
      "",
    );
  }

  #budgetsOfTenant(tenant: Tenant, except?: VmId): readonly Budget[] {
    const isOwn = (each: Tenant) => each === tenant;
    return toBudgets(this.#deps.quotaOf(tenant), this.#reserved(isOwn, except), "tenant-");
  }

  /** @param except - The VM that is asked for, which may have been counted already. */
  #reserved(isCounted: (tenant: Tenant) => boolean, except: VmId | undefined): Demand {
    const deps = this.#deps.demand();
    const standing = this.#deps.records().filter(({ id, state }) => id !== except && !hasEnded(state));
    const counted = new Set(standing.map(({ id }) => id));
    const underWay = [...this.#underWay.values()].filter(({ id }) => !counted.has(id));
    return sumOf([
      ...standing
        .filter(({ spec }) => isCounted(spec.tenant ?? defaultTenant))
        .map(({ state, spec }) => heldBy(state, spec, deps)),
      ...underWay.filter(({ tenant }) => isCounted(tenant)).map(({ demand }) => demand),
    ]);
  }
}

function toBudgets(totals: Totals, reserved: Demand, prefix: "" | "tenant-"): Budget[] {
  return Object.entries(totals).flatMap(([name, total]) => {
    if (total === undefined) return [];
    return [{ name: `${prefix}${name}`, unit: units[name] ?? "", total, reserved: reserved[name] ?? 0 }];
  });
}

function refuse(code: ErrorCode, why: string, id: VmId, shortages: readonly Shortage[]): void {
  if (shortages.length === 0) return;
  throw new WarderError(code, {
    doing: `making room for the VM ${id}`,
    why,
    cure: code === "no-room" ? "End other VMs, or ask for less" : "End other VMs of the tenant, or raise its quota",
    fields: shortages.map(({ budget, needed }) => ({
      field: budget.name,
      problem: `${needed}${unitOf(budget)} needed, ${leftOf(budget)} of ${budget.total}${unitOf(budget)} left`,
    })),
  });
}

function unitOf({ unit }: Budget): string {
  return unit === "" ? "" : ` ${unit}`;
}
