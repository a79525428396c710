import type { Host } from "../host/host.ts";
import { messageOf } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VsockSpec } from "../vm/vsock.ts";
import type { VsockBroker } from "../vsock/broker.ts";
import type { VsockPlace } from "../vsock/place.ts";

type Warn = (message: string, details: Readonly<Record<string, unknown>>) => void;

/** The broker of one VM, and its socket for other processes. */
interface Opened {
  readonly broker: VsockBroker;
  close(): void;
}

/** The vsock brokers of the VMs that this process looks after. */
export class VsockBrokers {
  readonly #host: Host;
  readonly #warn: Warn;
  readonly #opened = new Map<VmId, Promise<Opened>>();

  constructor(host: Host, warn: Warn) {
    this.#host = host;
    this.#warn = warn;
  }

  /**
   * Opens what a VM's description opens to its guest. Nothing, and at no cost, where it has no vsock. Repeating it does
   * nothing.
   */
  async open(record: VmRecord): Promise<void> {
    const { vsock } = record.spec;
    if (vsock === undefined || this.#opened.has(record.id)) return;
    const opening = openBroker(this.#host, placeOf(record), vsock, this.#warn);
    this.#opened.set(record.id, opening);
    try {
      await opening;
    } catch (error) {
      this.#opened.delete(record.id);
      throw error;
    }
  }

  /** The same for a VM that was taken over, which runs whatever becomes of its vsock. */
  adopt(record: VmRecord): void {
    this.open(record).catch((error: unknown) => {
      this.#warn("vsock not taken over", { vm_id: record.id, error: messageOf(error) });
    });
  }

  /** The broker of a VM that this process looks after. */
  async of(id: VmId): Promise<VsockBroker | undefined> {
    return (await this.#opened.get(id))?.broker;
  }

  /** Closes all that was open between a VM and its host. Nothing where nothing was. */
  close(id: VmId): void {
    const opening = this.#opened.get(id);
    this.#opened.delete(id);
    // What could not be opened has been closed, and told of, where it was.
    opening?.then((opened) => opened.close()).catch(() => undefined);
  }
}

/** Where a VM's sockets lie. */
export function placeOf({ id, layout, uid, gid }: VmRecord): VsockPlace {
  return { id, directory: layout.directory, root: layout.root, uid, gid };
}

/** The room is loaded with the first VM that has a vsock: others should not wait for it. */
async function openBroker(host: Host, place: VsockPlace, spec: VsockSpec, warn: Warn): Promise<Opened> {
  const [{ VsockBroker }, { ControlServer }] = await Promise.all([
    import("../vsock/broker.ts"),
    import("../vsock/control-server.ts"),
  ]);
  const broker = new VsockBroker({ host, place, spec, warn });
  const control = new ControlServer(host, place, broker);
  const close = () => {
    control.close();
    broker[Symbol.dispose]();
  };
  try {
    await broker.open();
    await control.open();
    return { broker, close };
  } catch (error) {
    close();
    throw error;
  }
}
