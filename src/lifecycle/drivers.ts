import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { Driver } from "./driver.ts";
import type { Operations } from "./operations.ts";

/** The drivers of one manager: one for each VM that it is asked about, or looks after, and for no longer than that. */
export class Drivers {
  readonly #operations: Operations;
  readonly #drivers = new Map<VmId, Driver>();
  #isClosed = false;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  /** The driver of a VM. For one call: without a call and without a run of its VM, it makes room. */
  of(id: VmId): Driver {
    const existing = this.#drivers.get(id);
    if (existing !== undefined) return existing;
    const makeRoom = (idle: Driver) => {
      if (this.#drivers.get(id) === idle) this.#drivers.delete(id);
    };
    const driver = new Driver(this.#operations, id, makeRoom, this.#isClosed);
    this.#drivers.set(id, driver);
    return driver;
  }

  /** Whether a call about a VM is under way, or a run of it is looked after. */
  isBusyWith(id: VmId): boolean {
    return this.#drivers.has(id);
  }

  /** Lets go of all VMs. They go on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const outcomes = await Promise.allSettled([...this.#drivers.values()].map((driver) => driver.close()));
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
    if (failures.length > 0)
      throw WarderError.from(failures[0], "internal", "letting go of VMs").withCleanup(failures.slice(1));
  }
}
