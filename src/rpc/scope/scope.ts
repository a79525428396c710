import type { Caller } from "../../access/caller.ts";
import type { DropCount } from "../../lifecycle/network-admin.ts";
import type { VmUsage } from "../../lifecycle/usage.ts";
import { defaultTenant, type Tenant } from "../../vm/belongings.ts";
import type { VmChange } from "../../vm/change.ts";
import { type FieldProblem, isWarderError, WarderError } from "../../vm/error.ts";
import { generateVmId, toVmId, type VmId } from "../../vm/id.ts";
import type { VmRecord } from "../../vm/record.ts";
import { parseVmSpec, type VmSpecInput } from "../../vm/spec.ts";
import { hasEnded } from "../../vm/state.ts";
import type { Admission } from "../admission/admission.ts";
import type {
  HostPort,
  MakeOptions,
  OutputKind,
  OutputOptions,
  VmMeasures,
  VmPort,
  WatchOptions,
} from "../host-port.ts";
import { type AssetPolicy, closedFilesIn } from "./assets.ts";
import { closedMembersIn } from "./open-members.ts";

/** What a scope looks at. */
export interface ScopeDeps {
  readonly host: HostPort;
  readonly admission: Admission;
  readonly assets: AssetPolicy;
  /** What the host gives a VM where a caller says nothing. */
  readonly vmDefaults: (given: VmSpecInput) => Partial<VmSpecInput>;
  readonly nowNanoseconds: () => bigint;
}

/**
 * The host as one caller may see it: VMs of its tenant alone, made within its quota and out of files that it may have.
 * Services are given nothing else, so none of them can forget to ask.
 */
export class HostScope implements HostPort {
  readonly #caller: Caller;
  readonly #deps: ScopeDeps;

  constructor(caller: Caller, deps: ScopeDeps) {
    this.#caller = caller;
    this.#deps = deps;
  }

  create(input: VmSpecInput, options: MakeOptions = {}): Promise<VmPort> {
    return this.#make(input, options, (spec, own) => this.#deps.host.create(spec, own));
  }

  run(input: VmSpecInput, options: MakeOptions = {}): Promise<VmPort> {
    return this.#make(input, options, (spec, own) => this.#deps.host.run(spec, own));
  }

  get(id: string): VmPort {
    const vm = this.#deps.host.get(id);
    if (!this.#sees(vm.record)) throw notFound(id);
    return this.#admitted(vm);
  }

  /** Nothing tells whose a VM was that is not there any more: a tenant is not told that there was one. */
  hasRemoved(id: string): boolean {
    return this.#caller.tenant === undefined && this.#deps.host.hasRemoved(id);
  }

  records(): readonly VmRecord[] {
    const all = this.#deps.host.records();
    return this.#caller.tenant === undefined ? all : all.filter((record) => this.#sees(record));
  }

  async *watch(options: WatchOptions): AsyncIterable<VmChange> {
    // A VM that was removed has no record any more: whose it was is remembered from the changes before.
    const own = new Set<VmId>(this.records().map(({ id }) => id));
    for await (const change of this.#deps.host.watch(options)) {
      if (this.#caller.tenant === undefined || this.#isOwn(change, own)) yield change;
    }
  }

  get cursor(): number {
    return this.#deps.host.cursor;
  }

  usage(record: VmRecord): VmUsage {
    return this.#deps.host.usage(record);
  }

  measure(record: VmRecord): VmMeasures | undefined {
    return this.#deps.host.measure(record);
  }

  output(id: string, kind: OutputKind, options: OutputOptions): AsyncIterable<Uint8Array> {
    void this.get(id);
    return this.#deps.host.output(id, kind, options);
  }

  async drops(id: VmId, signal: AbortSignal): Promise<readonly DropCount[]> {
    void this.get(id);
    return this.#deps.host.drops(id, signal);
  }

  #sees({ spec }: VmRecord): boolean {
    const { tenant } = this.#caller;
    return tenant === undefined || tenant === (spec.tenant ?? defaultTenant);
  }

  #isOwn({ id, state }: VmChange, own: Set<VmId>): boolean {
    if (state === "removed") return own.delete(id);
    if (own.has(id)) return true;
    const record = this.#find(id);
    const isOwn = record !== undefined && this.#sees(record);
    if (isOwn) own.add(id);
    return isOwn;
  }

  async #make(
    given: VmSpecInput,
    { idempotencyKey, signal }: MakeOptions,
    make: (input: VmSpecInput, options: MakeOptions) => Promise<VmPort>,
  ): Promise<VmPort> {
    const input = this.#allowed(given);
    const spec = parseVmSpec(input);
    const id = spec.id ?? generateVmId(this.#deps.nowNanoseconds());
    this.#refuseForeign(id);
    const release = this.#deps.admission.reserve(id, spec);
    try {
      // The key makes the request; an id of our own in it would make each retry another one.
      const own = idempotencyKey === undefined ? { ...input, id } : input;
      const vm = await make(own, {
        ...(idempotencyKey === undefined ? {} : { idempotencyKey: this.#keyOf(spec.tenant, idempotencyKey) }),
        ...(signal === undefined ? {} : { signal }),
      });
      return this.#admitted(vm);
    } finally {
      release();
    }
  }

  /** The description with the host's defaults and the caller's tenant in it. */
  #allowed(given: VmSpecInput): VmSpecInput {
    const { tenant, role } = this.#caller;
    if (tenant !== undefined && given.tenant !== undefined && given.tenant !== tenant) {
      refuse([{ field: "tenant", problem: `must be ${tenant}, which is the caller's own` }]);
    }
    const defaults = this.#deps.vmDefaults(given);
    const input = {
      ...defaults,
      ...given,
      ...(tenant === undefined ? {} : { tenant }),
      limits: { ...defaults.limits, ...given.limits },
    };
    if (tenant === undefined && role === "admin") return input;
    const problems = closedMembersIn(given);
    if (problems.length > 0) refuse(problems);
    const files = closedFilesIn(parseVmSpec(input), this.#deps.assets);
    if (files.length > 0) refuse(files);
    return input;
  }

  /** An id is one VM's on the whole host; whose it is and how it is are its tenant's to know. */
  #refuseForeign(id: VmId): void {
    const existing = this.#find(id);
    if (existing === undefined || this.#sees(existing)) return;
    throw new WarderError("vm-exists", {
      doing: `making the VM ${id}`,
      why: "the id is taken",
      cure: "Use another id, or leave it out",
    });
  }

  /** Two tenants may choose the same key. */
  #keyOf(tenant: Tenant | undefined, key: string): string {
    return `${tenant ?? defaultTenant}/${key}`;
  }

  #find(id: VmId): VmRecord | undefined {
    try {
      return this.#deps.host.get(id).record;
    } catch (error) {
      if (isWarderError(error) && error.code === "vm-not-found") return undefined;
      throw error;
    }
  }

  /** The VM, which is given room again where it is started again. */
  #admitted(vm: VmPort): VmPort {
    const { admission } = this.#deps;
    return {
      get record() {
        return vm.record;
      },
      inspect: () => vm.inspect(),
      async start(options) {
        const { id, state, spec } = vm.record;
        if (!hasEnded(state)) return vm.start(options);
        const release = admission.reserve(id, spec);
        try {
          return await vm.start(options);
        } finally {
          release();
        }
      },
      stop: (options) => vm.stop(options),
      kill: (options) => vm.kill(options),
      pause: (options) => vm.pause(options),
      resume: (options) => vm.resume(options),
      reboot: (options) => vm.reboot(options),
      remove: (options) => vm.remove(options),
      wait: (options) => vm.wait(options),
      prove: (options) => vm.prove(options),
      setRateLimit: (device, limit, options) => vm.setRateLimit(device, limit, options),
      get metadata() {
        return vm.metadata;
      },
      get vsock() {
        return vm.vsock;
      },
    };
  }
}

function refuse(fields: readonly FieldProblem[]): never {
  throw new WarderError("forbidden", {
    doing: "reading the request for a VM",
    why:
      fields.length === 1 ? "the caller may not choose one field" : `the caller may not choose ${fields.length} fields`,
    cure: "Leave out what is listed, or ask an admin of the host",
    fields,
  });
}

/** Word for word what is said of a VM that is not there: who may not see it must not learn of it. */
function notFound(id: string): WarderError {
  return new WarderError("vm-not-found", {
    doing: `looking up the VM ${toVmId(id)}`,
    why: "no VM has this id",
    cure: "See `warder ps -a`",
  });
}
