import type { FirecrackerClient } from "../firecracker/client.ts";
import { messageOf, WarderError } from "../vm/error.ts";
import type { VmExit } from "../vm/exit.ts";
import type { ProcessExit } from "../vm/process.ts";
import { type VmRecord, withoutOwner } from "../vm/record.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../vm/shutdown.ts";
import { isLive } from "../vm/state.ts";
import { concludeEnd } from "./conclude-end.ts";
import { enterEnd } from "./ending.ts";
import type { Machinery } from "./machinery.ts";
import type { StartProof } from "./prove-again.ts";
import { removeObjects } from "./remove.ts";
import type { ShutdownOptions } from "./shutdown.ts";
import type { Drains } from "./start-context.ts";
import { climbDown } from "./stop.ts";

/** After the process's end its FIFOs have only what is in them left: microseconds of reading. */
const DRAIN_TIMEOUT_MS = 1_000;

/** The end of a process, with what is known of it. */
type SeenExit = ProcessExit & { readonly hung?: boolean; readonly at?: number };

/** What a supervision is made from: a VM that runs, and the ends of its FIFOs. */
export interface Supervised {
  readonly record: VmRecord;
  readonly drains: Drains;
  /** Settles when the process has ended, with its status where this process is its parent. */
  readonly ended: Promise<SeenExit>;
  readonly client: FirecrackerClient | undefined;
  /** Lets this process end although the VM runs. */
  readonly letGo: () => void;
  /** Absent where another process started the VM. */
  readonly proof?: StartProof;
}

/**
 * Watches over one VM until its end: reads its output, notices that it ends, concludes why, and removes everything of
 * it from the host. One process does this for a VM: its owner.
 */
export class Supervision {
  readonly #machinery: Machinery;
  readonly #supervised: Supervised;
  readonly #letGo = new AbortController();
  readonly #detachMeter: () => void;
  /** Settles once the VM has ended and everything of it is gone; rejects where something could not be removed. */
  readonly finished: Promise<VmExit>;

  constructor(machinery: Machinery, supervised: Supervised) {
    this.#machinery = machinery;
    this.#supervised = supervised;
    this.#detachMeter = machinery.meters.attach(supervised.record.id, supervised.drains);
    this.finished = machinery.observer.detach(() => this.#watch());
    // Whoever waits for it gets the failure; nobody has to.
    this.finished.catch((error: unknown) => {
      if (this.#letGo.signal.aborted) return;
      const { code } = WarderError.from(error, "internal", "removing a VM");
      machinery.observer.tell({ kind: "background-failure", code });
      machinery.warn("VM not removed", { vm_id: supervised.record.id, code, error: messageOf(error) });
    });
  }

  get drains(): Drains {
    return this.#supervised.drains;
  }

  get proof(): StartProof | undefined {
    return this.#supervised.proof;
  }

  /** Ends the VM by a ladder, and waits until everything of it is gone. */
  async shutDown(ladder: ShutdownLadder, options: ShutdownOptions): Promise<ShutdownOutcome> {
    const outcome = await climbDown(this.#machinery, this.#supervised, ladder, options);
    await this.finished;
    return outcome;
  }

  /** Stops watching. The VM goes on, and whoever adopts it next reads on where this process stopped. */
  async release(): Promise<void> {
    this.#letGo.abort();
    this.#supervised.client?.close();
    this.#supervised.letGo();
    await this.#detach();
  }

  async #watch(): Promise<VmExit> {
    const released = new Promise<never>((_resolve, reject) => {
      this.#letGo.signal.addEventListener("abort", () => reject(this.#letGo.signal.reason), { once: true });
    });
    const exit = await Promise.race([this.#supervised.ended, released]);
    try {
      return await this.#finish(exit);
    } catch (error) {
      this.#leaveToOthers();
      throw error;
    }
  }

  /** An end that could not be written down is seen by the next round of whoever looks after VMs, once nobody has this one. */
  #leaveToOthers(): void {
    try {
      const isUnseen = ({ state }: VmRecord) => isLive(state) && state !== "restarting";
      this.#machinery.store.update(this.#supervised.record.id, (record) =>
        isUnseen(record) ? withoutOwner(record) : record,
      );
    } catch {
      // What keeps this from being written is told as the cause of the failure itself.
    }
  }

  async #finish(exit: SeenExit): Promise<VmExit> {
    const { record, drains, client } = this.#supervised;
    client?.close();
    await this.#drained();
    const { code, signal, hung, at } = exit;
    const concluded = await concludeEnd(this.#machinery, record, {
      exit: { code, signal },
      ...(hung === undefined ? {} : { hung }),
      ...(at === undefined ? {} : { at }),
      log: drains.log.tail,
      console: drains.console.tail,
    });
    await this.#detach();
    // First the cause, which is known only here, then the removal, which anybody can finish.
    const { state } = enterEnd(this.#machinery, record.id, concluded);
    try {
      await removeObjects(this.#machinery, record);
    } finally {
      // Whoever looked after the VM also starts it again. What could not be removed is anybody's to try again.
      if (state !== "restarting") this.#machinery.store.update(record.id, withoutOwner);
    }
    this.#machinery.note("VM ended", {
      vm_id: record.id,
      cause: concluded.cause,
      code: exit.code,
      signal: exit.signal,
    });
    return concluded;
  }

  async #detach(): Promise<void> {
    this.#machinery.vsock.close(this.#supervised.record.id);
    await Promise.all(Object.values(this.#supervised.drains).map((drain) => drain.detach()));
    this.#detachMeter();
  }

  async #drained(): Promise<void> {
    const timeout = new AbortController();
    const all = Promise.all(Object.values(this.#supervised.drains).map((drain) => drain.ended));
    await Promise.race([
      all,
      this.#machinery.host.clock.sleep(DRAIN_TIMEOUT_MS, timeout.signal).catch(() => undefined),
    ]);
    timeout.abort();
  }
}
