import type { ConfigOverrides } from "../config/config.ts";
import type { Observer } from "../observability/observer.ts";
import type { VmChange } from "../vm/change.ts";
import { isWarderError, messageOf, WarderError } from "../vm/error.ts";
import { generateVmId, toVmId, type VmId, vmIdProblem } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import { hostDefaults, parseVmSpec, type VmSpec, type VmSpecDefaults, type VmSpecInput } from "../vm/spec.ts";
import { Caretaker } from "./caretaker.ts";
import { ChangeFeed } from "./change-feed.ts";
import { createVm } from "./create.ts";
import { Drivers } from "./drivers.ts";
import { hostOperations } from "./host-operations.ts";
import { findMade, type Idempotency, MadeMeanwhile, toIdempotency } from "./idempotency.ts";
import type { Machinery } from "./machinery.ts";
import { type Role, whoManages } from "./manager-lock.ts";
import { closeMachinery, openMachinery, type Reporter } from "./open.ts";
import { reconcile } from "./reconcile.ts";
import type { StartOptions } from "./start.ts";
import { openThisMachine } from "./this-machine.ts";
import { type Cancellable, type Retryable, Vm } from "./vm.ts";

/** How a host is opened. Every member has a default. */
export interface WarderOptions extends ConfigOverrides {
  /** Gets warnings, and notes of what happens. Default: warnings go to standard error, notes nowhere. */
  readonly reporter?: Reporter;
  /** Sees what is done, for metrics and traces. Default: nobody does. */
  readonly observer?: Observer;
  /** What VMs are given where a caller says nothing. */
  readonly defaults?: VmSpecDefaults;
  /**
   * Whether this is the one manager of the state directory, which looks after every VM in it: those that run are taken
   * over when it opens. A `visitor` works beside one, or without: it looks after the VMs that it starts. Default: manager.
   */
  readonly role?: Role;
  /** Whether what earlier managers left undone is put in order. Default true. */
  readonly reconcile?: boolean;
  /** Whether what the first start needs is made ahead. Default true; a waste where nothing will be started. */
  readonly prepareStarts?: boolean;
}

/** What is watched. */
export interface WatchOptions extends Cancellable {
  /** The sequence of the last change that is known; 0 for all that are kept. Default: only what comes from now on. */
  readonly since?: number;
  /** One VM, which need not be there yet. */
  readonly id?: string;
}

/** How a VM's start is watched and given up. */
export type RunOptions = StartOptions & Retryable;

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
  readonly #drivers: Drivers;
  readonly #feed: ChangeFeed;
  readonly #caretaker: Caretaker;

  private constructor(machinery: Machinery, defaults: VmSpecDefaults) {
    this.#machinery = machinery;
    this.#defaults = defaults;
    this.#drivers = new Drivers(hostOperations(machinery));
    this.#caretaker = new Caretaker(machinery, this.#drivers);
    this.#feed = new ChangeFeed(machinery.store.changes, machinery.host.clock);
    machinery.store.changes.subscribe((change) => noteChange(machinery, change));
  }

  /**
   * Opens this machine: reads the configuration, opens the state, and puts in order what an earlier manager left
   * undone. VMs that run go on, whoever started them.
   *
   * @throws {@link WarderError} `invalid-config` with every wrong setting; `permission-denied`; `store-failed`;
   * `state-locked` where another manager has the state directory.
   */
  static async open(options: WarderOptions = {}): Promise<Warder> {
    const { reporter = standardError, observer, defaults = hostDefaults, role = "manager", ...rest } = options;
    const { reconcile: isToReconcile = true, prepareStarts = true, ...overrides } = rest;
    const { host, config } = openThisMachine(overrides);
    const machinery = await openMachinery(host, config, { role, reporter, observer });
    if (prepareStarts) {
      machinery.spareFifos.prefill();
      host.processes.prepareToSpawn();
    }
    const warder = new Warder(machinery, defaults);
    try {
      if (isToReconcile) await warder.#putInOrder(role);
      return warder;
    } catch (error) {
      // The first cause is what the caller needs; what stays open here would refuse the next attempt.
      await warder[Symbol.asyncDispose]().catch(() => undefined);
      throw error;
    }
  }

  async #putInOrder(role: Role): Promise<void> {
    if (role === "manager") return this.#caretaker.begin();
    for (const { id, error } of await reconcile(this.#machinery)) {
      this.#machinery.warn("VM not removed", { vm_id: id, error: messageOf(error) });
    }
  }

  /**
   * Makes a VM, starts it, and waits until it runs and its isolation is proven. The VM is stopped by `stop`, or when the
   * handle is disposed of; it is not when this process ends. With an idempotency key that made a VM already, that one is
   * returned, and started where it never ran.
   *
   * @throws {@link WarderError}; the host is then as it was before, and nothing stays of the VM. `idempotency-conflict`
   * where the key made a VM of another description.
   */
  async run(input: VmSpecInput, options: RunOptions = {}): Promise<Vm> {
    const { idempotencyKey, ...start } = options;
    const [made, isNew] = await this.#make(input, idempotencyKey, (spec, idempotency) =>
      this.#drivers.of(spec.id).make(spec, start, idempotency),
    );
    if (!isNew && neverRan(made.record)) await made.start(options);
    return made;
  }

  /**
   * Writes a VM down and reserves its leases, for {@link Vm.start} to start. Nothing runs, and nothing of it is on the
   * host. It is kept until it is removed, also over restarts of this process.
   *
   * @throws {@link WarderError} for whatever a start would be refused for; `vm-exists`; `idempotency-conflict`.
   */
  async create(input: VmSpecInput, options: Cancellable & Retryable = {}): Promise<Vm> {
    const { idempotencyKey, signal = new AbortController().signal } = options;
    const [made] = await this.#make(input, idempotencyKey, async (spec, idempotency) => {
      const work = () => createVm(this.#machinery, spec, { signal, idempotency });
      await this.#machinery.observer.watch({ kind: "operation", name: "create", vmId: spec.id }, work);
    });
    return made;
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

  /** Whether a process that lives is the manager of the state directory, and looks after every VM in it. */
  get isManaged(): boolean {
    const { host, settings } = this.#machinery;
    return whoManages(host, settings.stateDir) !== undefined;
  }

  /** Whether a VM of this id was there and was removed, as far as the changes that are kept tell. */
  hasRemoved(id: string): boolean {
    return this.#machinery.store.changes.hasRemoved(parseId(id));
  }

  /** All VMs, oldest first. `all`: those that have ended too. */
  list(options: { readonly all?: boolean } = {}): Vm[] {
    const records = this.#machinery.store.list();
    return records.filter((record) => options.all === true || record.exit === undefined).map(({ id }) => this.#vm(id));
  }

  /**
   * The changes of VMs' states as they come, made by whichever process. With `since` those after that one first: a watcher
   * that stood still, or whose process was restarted, misses nothing and sees nothing twice. The newest 10,000 are kept.
   *
   * @example
   * const { cursor } = warder; // before the list: what changes meanwhile is seen
   * const vms = warder.list({ all: true });
   * for await (const { id, state } of warder.watch({ since: cursor, signal })) console.log(id, state);
   *
   * @throws {@link WarderError} when it is iterated: `gone` where changes after `since` are not kept any more (list the
   * VMs, and watch from there); `aborted` when the signal fires, or the host is let go of.
   */
  watch({ since, id, signal }: WatchOptions = {}): AsyncIterable<VmChange> {
    const after = since === undefined ? this.cursor : parseCursor(since);
    const never = new AbortController().signal;
    return this.#feed.watch({ after, signal: signal ?? never, ...(id === undefined ? {} : { id: parseId(id) }) });
  }

  /** The sequence of the newest change; 0 before the first. */
  get cursor(): number {
    return this.#machinery.store.changes.bounds().newest;
  }

  /** Lets go of everything. VMs go on; this process no longer reads their output. */
  async [Symbol.asyncDispose](): Promise<void> {
    // From the last to the first; whatever fails, the state is let go of.
    await using closing = new AsyncDisposableStack();
    closing.defer(() => closeMachinery(this.#machinery));
    closing.defer(() => this.#drivers.close());
    closing.use(this.#caretaker);
    closing.defer(() => this.#feed.close());
  }

  /** @internal The rooms behind this host, for the other faces of Warder. */
  get machinery(): Machinery {
    return this.#machinery;
  }

  #vm(id: VmId): Vm {
    return new Vm(this.#machinery, this.#drivers, id);
  }

  /** The VM that a key has made already, else a new one. */
  async #make(
    input: VmSpecInput,
    key: string | undefined,
    make: (spec: VmSpec & { readonly id: VmId }, idempotency: Idempotency | undefined) => Promise<void>,
  ): Promise<[vm: Vm, isNew: boolean]> {
    const { store, host } = this.#machinery;
    const spec = parseVmSpec(input, this.#defaults);
    const idempotency = key === undefined ? undefined : toIdempotency(key, spec);
    const find = () => (idempotency === undefined ? undefined : findMade(store, idempotency));
    const made = find();
    if (made !== undefined) return [this.#vm(made), false];
    const id = spec.id ?? generateVmId(host.clock.nowNanoseconds());
    try {
      await make({ ...spec, id }, idempotency);
      return [this.#vm(id), true];
    } catch (error) {
      const meanwhile = isWarderError(error) && error.cause instanceof MadeMeanwhile ? find() : undefined;
      if (meanwhile === undefined) throw WarderError.from(error, "internal", `making the VM ${id}`);
      return [this.#vm(meanwhile), false];
    }
  }
}

/** Whether the call that made a VM did not get so far as to run it. */
function neverRan({ state, incarnation, history }: VmRecord): boolean {
  return incarnation <= 1 && history.length === 0 && ["created", "starting", "failed"].includes(state);
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

function parseCursor(since: number): number {
  if (Number.isSafeInteger(since) && since >= 0) return since;
  throw new WarderError("invalid-argument", {
    doing: "watching VMs",
    why: "one field is wrong",
    fields: [{ field: "since", problem: "must be a whole number, 0 or the sequence of a change" }],
  });
}

function noteChange({ note }: Machinery, { id, sequence, at: _at, ...rest }: VmChange): void {
  note("VM changed", { vm_id: id, change: sequence, ...rest });
}

const standardError: Reporter = {
  warn: (message, details) => void process.stderr.write(`warder: ${message} ${JSON.stringify(details)}\n`),
  note: () => undefined,
};
