import type { WarderClient } from "../../client/warder-client.ts";
import type { Collection, CollectOptions } from "../../lifecycle/collect.ts";
import type { Cancellable, Retryable } from "../../lifecycle/vm.ts";
import type { WatchOptions } from "../../lifecycle/warder.ts";
import type { VmSpecInput } from "../../vm/spec.ts";
import type { VmView } from "../../vm/view.ts";
import type { ForegroundOptions, Manager, Networks } from "./manager.ts";
import { RemoteManagedVm } from "./remote-vm.ts";

/** A daemon's host. The daemon looks after VMs, so none of them needs a monitor. */
export class RemoteManager implements Manager {
  readonly #client: WarderClient;

  constructor(client: WarderClient) {
    this.#client = client;
  }

  async list(options: { readonly all: boolean }): Promise<readonly VmView[]> {
    const views: VmView[] = [];
    for await (const view of this.#client.list(options)) views.push(view);
    return views;
  }

  get(id: string): RemoteManagedVm {
    return new RemoteManagedVm(this.#client.get(id));
  }

  /** The daemon knows, and has no error for it. */
  hasRemoved(): boolean {
    return false;
  }

  async create(spec: VmSpecInput, options: Cancellable & Retryable): Promise<RemoteManagedVm> {
    return new RemoteManagedVm(await this.#client.create(spec, options));
  }

  async run(spec: VmSpecInput, { onStep: _onStep, onConsole, ...options }: ForegroundOptions) {
    const vm = await this.#client.run(spec, options);
    return new RemoteManagedVm(vm, showConsole(vm.output("console", { follow: true }), onConsole));
  }

  watch(options: WatchOptions) {
    return this.#client.watch(options);
  }

  /** What is another manager's is named when it is gone: the daemon tells of it by its answer. */
  async collectGarbage({ isDryRun, isForeign = false, beforeForeign }: CollectOptions): Promise<Collection> {
    const collection = await this.#client.host.collectGarbage({ isDryRun, isForeign });
    const done = collection.leftovers.filter(({ own, action }) => {
      return !own && (action === "removed" || action === "still there");
    });
    if (done.length > 0) beforeForeign?.(done.map(({ name }) => name));
    return collection;
  }

  get networks(): Networks {
    const { host } = this.#client;
    return {
      list: () => host.networks(),
      get: (name) => host.network(name),
      remove: (name, signal) => host.removeNetwork(name, { signal }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
  }
}

/** All that the guest prints, from the first byte on: it is kept for whoever comes late. */
async function showConsole(output: AsyncIterable<Uint8Array>, show: (chunk: Uint8Array) => void): Promise<void> {
  for await (const chunk of output) show(chunk);
}
