import { type Collection, type CollectOptions, collectGarbage } from "../../lifecycle/collect.ts";
import { getNetwork, listNetworks, removeSharedNetwork } from "../../lifecycle/network-admin.ts";
import type { Cancellable, Retryable } from "../../lifecycle/vm.ts";
import type { Warder, WatchOptions } from "../../lifecycle/warder.ts";
import type { VmSpecInput } from "../../vm/spec.ts";
import { toView } from "../../vm/view.ts";
import { withHostSocket } from "../run-spec.ts";
import { LocalVm, type MonitorContext } from "./local-vm.ts";
import type { ForegroundOptions, Manager, Networks } from "./manager.ts";

/** The host in this process. */
export class LocalManager implements Manager {
  readonly #warder: Warder;
  readonly #context: MonitorContext;

  constructor(warder: Warder, context: MonitorContext) {
    this.#warder = warder;
    this.#context = context;
  }

  async list(options: { readonly all: boolean }) {
    return this.#warder.list(options).map(({ record }) => toView(record));
  }

  get(id: string): LocalVm {
    return new LocalVm(this.#warder, this.#warder.get(id), this.#context);
  }

  hasRemoved(id: string): boolean {
    return this.#warder.hasRemoved(id);
  }

  async create(spec: VmSpecInput, options: Cancellable & Retryable): Promise<LocalVm> {
    return this.get((await this.#warder.create(this.#complete(spec), options)).id);
  }

  async run(spec: VmSpecInput, { onStep, onConsole, ...options }: ForegroundOptions): Promise<LocalVm> {
    let isLaunched = false;
    const vm = await this.#warder.run(this.#complete(spec), {
      ...options,
      onStep({ step }) {
        isLaunched ||= step === "launch";
        onStep(step);
      },
      onConsole(chunk) {
        // Before Firecracker runs it is the jailer that speaks, and only of its failure, which the error quotes.
        if (isLaunched) onConsole(chunk);
      },
    });
    return this.get(vm.id);
  }

  watch(options: WatchOptions) {
    return this.#warder.watch(options);
  }

  collectGarbage(options: CollectOptions): Promise<Collection> {
    return collectGarbage(this.#warder.machinery, options);
  }

  get networks(): Networks {
    const { machinery } = this.#warder;
    return {
      list: async () => listNetworks(machinery),
      get: async (name) => getNetwork(machinery, name),
      remove: (name, signal) => removeSharedNetwork(machinery, name, signal),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#warder[Symbol.asyncDispose]();
  }

  #complete(spec: VmSpecInput): VmSpecInput {
    return withHostSocket(spec, this.#warder.machinery.settings.stateDir);
  }
}
