import { type Client, createClient } from "@connectrpc/connect";
import { AccessService } from "../../gen/warder/v1/access_service_pb.js";
import { HostService } from "../../gen/warder/v1/host_service_pb.js";
import { VmService } from "../../gen/warder/v1/vm_service_pb.js";
import type { VmChange } from "../vm/change.ts";
import { parseVmSpec, type VmSpecInput } from "../vm/spec.ts";
import type { VmView } from "../vm/view.ts";
import { fromWireChange } from "../wire/change.ts";
import { toWireSpec } from "../wire/spec.ts";
import { fromWireVm } from "../wire/view.ts";
import { RemoteAccess } from "./access.ts";
import { asking, type CallOptions, telling } from "./call.ts";
import { RemoteHost } from "./host.ts";
import { type DaemonAddress, type OpenTransport, openTransport } from "./transport.ts";
import { viewOf } from "./view-of.ts";
import { RemoteVm, type Retryable } from "./vm.ts";

/** How a VM is made. */
export type MakeOptions = CallOptions & Retryable;

const PAGE_SIZE = 500;

/**
 * A daemon, with the calls that the library has of a host.
 *
 * @example
 * using warder = WarderClient.connect({ socket: "/run/warder/warder.sock" });
 * const vm = await warder.run({ kernel: "/opt/vm-assets/vmlinux", drives: [{ path: "/opt/vm-assets/root.ext4", root: true }] });
 * for await (const bytes of vm.output("console", { follow: true })) process.stdout.write(bytes);
 */
export class WarderClient implements Disposable {
  readonly #open: OpenTransport;
  readonly #calls: Client<typeof VmService>;
  /** The machine that VMs run on. */
  readonly host: RemoteHost;
  /** Who may do what. For admins of the whole host. */
  readonly access: RemoteAccess;

  private constructor(open: OpenTransport) {
    this.#open = open;
    this.#calls = createClient(VmService, open.transport);
    this.host = new RemoteHost(createClient(HostService, open.transport));
    this.access = new RemoteAccess(createClient(AccessService, open.transport));
  }

  /** A client of the daemon at an address. Connects with the first call. */
  static connect(address: DaemonAddress): WarderClient {
    return new WarderClient(openTransport(address));
  }

  /** Writes a VM down and reserves what it needs; nothing of it runs. */
  async create(input: VmSpecInput, { idempotencyKey = "", ...options }: MakeOptions = {}): Promise<RemoteVm> {
    const request = { ...toRequest(input), idempotencyKey };
    return this.#made(viewOf(await asking("creating a VM", options, (given) => this.#calls.createVm(request, given))));
  }

  /**
   * Makes a VM and starts it; settles when it runs and its isolation is proven. With `removeWhenEnded` the daemon forgets
   * it when it has ended, unless the daemon ends before.
   */
  async run(
    input: VmSpecInput,
    { idempotencyKey = "", removeWhenEnded = false, ...options }: MakeOptions & { removeWhenEnded?: boolean } = {},
  ): Promise<RemoteVm> {
    const request = { ...toRequest(input), idempotencyKey, removeWhenEnded };
    return this.#made(viewOf(await asking("running a VM", options, (given) => this.#calls.runVm(request, given))));
  }

  /** A VM by its id. Whether there is one shows with the first call. */
  get(id: string): RemoteVm {
    return new RemoteVm(this.#calls, id);
  }

  /** All VMs, oldest first, page by page. `all`: those that have ended too. */
  async *list({ all = false, ...options }: CallOptions & { all?: boolean } = {}): AsyncGenerator<VmView, void> {
    for (let pageToken = ""; ; ) {
      const request = { all, pageSize: PAGE_SIZE, pageToken };
      const { vms, nextPageToken } = await asking("listing VMs", options, (given) =>
        this.#calls.listVms(request, given),
      );
      yield* vms.map(fromWireVm);
      if (nextPageToken === "") return;
      pageToken = nextPageToken;
    }
  }

  /** Changes of state, after one that is known or from now on, for as long as somebody listens. */
  async *watch({
    since,
    id = "",
    ...options
  }: CallOptions & { since?: number; id?: string } = {}): AsyncGenerator<VmChange, void> {
    const request = { id, ...(since === undefined ? {} : { since: BigInt(since) }) };
    for await (const { change } of telling("watching VMs", options, (given) => this.#calls.watchVms(request, given))) {
      if (change !== undefined) yield fromWireChange(change);
    }
  }

  #made(view: VmView): RemoteVm {
    return new RemoteVm(this.#calls, view.id, view);
  }

  /** Ends the connection, and what is under way on it. VMs go on. */
  [Symbol.dispose](): void {
    this.#open.close();
  }
}

/** What is wrong with a description is told here already, all of it at once. */
function toRequest(input: VmSpecInput) {
  parseVmSpec(input);
  return { spec: toWireSpec(input), tenant: input.tenant ?? "" };
}
