import type { ConfigOverrides } from "../config/config.ts";
import { WarderError } from "../vm/error.ts";
import { toVmId, type VmId, vmIdProblem } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { hostDefaults, parseVmSpec, type VmSpecDefaults, type VmSpecInput } from "../vm/spec.ts";
import { reconcile } from "./adopt.ts";
import type { Machinery } from "./machinery.ts";
import { closeMachinery, openMachinery, type Reporter } from "./open.ts";
import { type StartOptions, startVm } from "./start.ts";
import type { StartContext } from "./start-context.ts";
import { Supervision } from "./supervision.ts";
import { openThisMachine } from "./this-machine.ts";
import { Vm } from "./vm.ts";

/** How a host is opened. Every member has a default. */
export interface WarderOptions extends ConfigOverrides {
  /** Gets warnings, and notes of what happens. Default: warnings go to standard error, notes nowhere. */
  readonly reporter?: Reporter;
  /** What VMs are given where a caller says nothing. */
  readonly defaults?: VmSpecDefaults;
  /** Whether what earlier managers left undone is put in order. Default true. */
  readonly reconcile?: boolean;
  /** Whether what the first start needs is made ahead. Default true; a waste where nothing will be started. */
  readonly prepareStarts?: boolean;
}

/** How a VM's start is watched and given up. */
export type RunOptions = StartOptions;

/**
 * A host for jailed Firecracker microVMs.
 *
 * @example
 * await using warder = await Warder.open();
 * await using vm = await warder.run({ kernel: "/srv/images/vmlinux", initrd: "/srv/images/initrd" });
 * console.log(vm.inspect().isolation?.level); // "proven"
 * const exit = await vm.wait();
 */
export class Warder implements AsyncDisposable {
  readonly #machinery: Machinery;
  readonly #defaults: VmSpecDefaults;
  readonly #supervisions = new Map<VmId, Supervision>();

  private constructor(machinery: Machinery, defaults: VmSpecDefaults) {
    this.#machinery = machinery;
    this.#defaults = defaults;
  }

  /**
   * Opens this machine: reads the configuration, opens the state, and puts in order what an earlier manager left
   * undone. VMs that run go on, whoever started them.
   *
   * @throws {@link WarderError} `invalid-config` with every wrong setting; `permission-denied`; `store-failed`.
   */
  static async open(options: WarderOptions = {}): Promise<Warder> {
    const { reporter = standardError, defaults = hostDefaults, ...rest } = options;
    const { reconcile: isToReconcile = true, prepareStarts = true, ...overrides } = rest;
    const { host, config } = openThisMachine(overrides);
    const machinery = await openMachinery(host, config, reporter);
    if (prepareStarts) {
      machinery.spareFifos.prefill();
      host.processes.prepareToSpawn();
    }
    for (const { id, error } of isToReconcile ? await reconcile(machinery) : []) {
      reporter.warn("VM not removed", { vm_id: id, error: error instanceof Error ? error.message : String(error) });
    }
    return new Warder(machinery, defaults);
  }

  /**
   * Starts a VM and waits until it runs and its isolation is proven. The VM is stopped by `stop`, or when the handle is
   * disposed of; it is not when this process ends.
   *
   * @throws {@link WarderError}; the host is then as it was before.
   */
  async run(input: VmSpecInput, options: RunOptions = {}): Promise<Vm> {
    const context = await startVm(this.#machinery, parseVmSpec(input, this.#defaults), options);
    this.#supervise(context);
    return this.#vm(context.plan.id);
  }

  /**
   * A VM by its id.
   *
   * @throws {@link WarderError} `vm-not-found`, `invalid-argument` where the text can not be an id.
   */
  get(id: string): Vm {
    const vm = this.#vm(parseId(id));
    void vm.record;
    return vm;
  }

  /** All VMs, oldest first. `all`: those that have ended too. */
  list(options: { readonly all?: boolean } = {}): Vm[] {
    const records = this.#machinery.store.list();
    return records.filter((record) => options.all === true || record.exit === undefined).map(({ id }) => this.#vm(id));
  }

  /** Lets go of everything. VMs go on; this process no longer reads their output. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [id, supervision] of this.#supervisions) {
      await supervision.release();
      this.#disown(id);
    }
    this.#supervisions.clear();
    await closeMachinery(this.#machinery);
  }

  /** @internal The rooms behind this host, for the other faces of Warder. */
  get machinery(): Machinery {
    return this.#machinery;
  }

  #vm(id: VmId): Vm {
    return new Vm(this.#machinery, this.#supervisions, id);
  }

  #supervise(context: StartContext): void {
    const { record, drains, ended, client, plan, launch, wanted, heldProof: held } = context;
    if (record === undefined || drains === undefined || ended === undefined || launch === undefined)
      throw new TypeError("the start was not finished");
    const timed = this.#machinery.store.update(plan.id, (current) => ({ ...current, timings: context.timings }));
    const supervision = new Supervision(this.#machinery, {
      record: timed,
      drains,
      ended,
      client,
      unref: () => launch.child.unref(),
      ...(wanted === undefined || held === undefined ? {} : { proof: { wanted, held } }),
    });
    this.#supervisions.set(plan.id, supervision);
    const forget = () => this.#supervisions.delete(plan.id);
    supervision.finished.then(forget, () => undefined);
  }

  #disown(id: VmId): void {
    const { store, host } = this.#machinery;
    if (store.get(id) === undefined) return;
    store.update(id, (record): VmRecord => {
      if (record.owner?.pid !== host.processes.self.pid) return record;
      const { owner: _owner, ...rest } = record;
      return rest;
    });
  }
}

function parseId(id: string): VmId {
  const problem = vmIdProblem(id);
  if (problem === undefined) return toVmId(id);
  throw new WarderError("invalid-argument", {
    doing: "looking up a VM",
    why: "the id is wrong",
    fields: [{ field: "id", problem: `${JSON.stringify(id)} ${problem}` }],
  });
}

const standardError: Reporter = {
  warn: (message, details) => void process.stderr.write(`warder: ${message} ${JSON.stringify(details)}\n`),
  note: () => undefined,
};
