import type { Clock } from "../host/host.ts";
import type { Store } from "../store/store.ts";
import type { VmExit } from "../vm/exit.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import type { ShutdownLadder, ShutdownOutcome } from "../vm/shutdown.ts";
import type { VmSpec } from "../vm/spec.ts";
import type { StartProof } from "./prove-again.ts";
import type { ShutdownOptions } from "./shutdown.ts";
import type { StartOptions, StartOrigin } from "./start.ts";

/** One run of a VM, in the hands of this process: see `Supervision`. */
export interface Run {
  /** Absent where another process started it. */
  readonly proof: StartProof | undefined;
  /** Settles once it has ended and everything of it is gone; rejects where something could not be removed. */
  readonly finished: Promise<VmExit>;
  /** Ends it by a ladder, and waits until it is finished. */
  shutDown(ladder: ShutdownLadder, options: ShutdownOptions): Promise<ShutdownOutcome>;
  /** Lets go of it: it goes on without this process. */
  release(): Promise<void>;
}

/** Whether a guest's time goes on. */
export type Power = "running" | "paused";

/**
 * What a driver has done, by whoever can: the one seam between deciding and doing. A driver knows nothing of processes,
 * jails or sockets, so that its tests can have a world in which anything happens at any moment.
 */
export interface Operations {
  readonly store: Store;
  readonly clock: Clock;
  /** Told once of what an operator must see. */
  readonly warn: (message: string, details: Readonly<Record<string, unknown>>) => void;
  /** Does a call on a VM, watched by whoever observes the host. */
  observe<T>(name: string, id: VmId, work: () => Promise<T>): Promise<T>;
  /** Whether the record's owner is this very process. */
  isOwn(record: VmRecord): boolean;
  hasLivingOwner(record: VmRecord): boolean;
  /** Whether the recorded process is there, and is this VM's beyond doubt. */
  isStillRunning(record: VmRecord): boolean;
  /** Makes this process the one that starts a VM which is `restarting`; false where another one is. */
  claimRestart(id: VmId): boolean;
  /** Starts a VM. Of one that is written down already, the record is left `starting` where that fails. */
  start(spec: VmSpec, options: StartOptions, origin: StartOrigin): Promise<Run>;
  /** Takes over a VM that runs without an owner; `undefined` where another process was faster. */
  adopt(record: VmRecord): Run | undefined;
  /** Ends the process of a VM that another manager looks after; that manager sees the end and removes the rest. */
  stopForOwner(record: VmRecord, ladder: ShutdownLadder, options: ShutdownOptions): Promise<ShutdownOutcome>;
  setPower(record: VmRecord, power: Power, signal: AbortSignal): Promise<void>;
  /** What Firecracker itself says of it. */
  readPower(record: VmRecord): Promise<Power>;
  /** Does what an earlier manager left undone; nothing where a manager lives that looks after the VM. */
  settle(record: VmRecord): Promise<void>;
  /**
   * Removes whatever of a VM without a process is on the host, and gives its leases back.
   *
   * @throws {@link WarderError} `wrong-state` where a process does so, or starts it, at this moment.
   */
  clear(id: VmId): Promise<void>;
  /** The same for a VM that is this process's. It lets go of one that has ended. */
  clearOwn(id: VmId): Promise<void>;
  /**
   * Takes a VM away: what is left of it on the host, its output, its record.
   *
   * @param mayRemove - Throws where the state does not allow it.
   * @throws {@link WarderError} `wrong-state` where a process removes its last run, or starts it, at this moment.
   */
  remove(id: VmId, mayRemove: (record: VmRecord) => void): Promise<void>;
}
