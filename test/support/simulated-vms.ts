import assert from "node:assert/strict";
import type { Clock } from "../../src/host/host.ts";
import type { Driver } from "../../src/lifecycle/driver.ts";
import { Drivers } from "../../src/lifecycle/drivers.ts";
import { enterEnd } from "../../src/lifecycle/ending.ts";
import { keepKey } from "../../src/lifecycle/idempotency.ts";
import { inOtherHands } from "../../src/lifecycle/in-other-hands.ts";
import type { Operations, Run } from "../../src/lifecycle/operations.ts";
import { shutDown } from "../../src/lifecycle/shutdown.ts";
import { renewedRecord } from "../../src/lifecycle/steps/renew.ts";
import { notFound, Store } from "../../src/store/store.ts";
import type { VmChange } from "../../src/vm/change.ts";
import { WarderError } from "../../src/vm/error.ts";
import type { ExitCause, VmExit } from "../../src/vm/exit.ts";
import { toVmId, type VmId } from "../../src/vm/id.ts";
import type { ProcessIdentity } from "../../src/vm/process.ts";
import { type VmRecord, withoutOwner } from "../../src/vm/record.ts";
import type { ShutdownMethod } from "../../src/vm/shutdown.ts";
import { parseVmSpec, type VmSpec } from "../../src/vm/spec.ts";
import { hasEnded, isLive } from "../../src/vm/state.ts";
import type { Pace } from "./simulated-time.ts";

/** What a simulated guest does; told by its kernel argument. */
export interface Guest {
  /** Rungs that end it; SIGKILL always does. */
  readonly obeys?: readonly ShutdownMethod[];
  /** Where a start of it fails: before anything is written down, or after. */
  readonly fails?: "plan" | "boot";
}

/** A process of a simulated VM. */
interface SimProcess {
  readonly id: VmId;
  readonly identity: ProcessIdentity;
  readonly ended: PromiseWithResolvers<ExitCause>;
  isAlive: boolean;
  power: "running" | "paused";
}

/**
 * A host without a kernel: processes that are objects, managers that can die at any moment, and a real store. Whatever
 * takes time here takes as long as the {@link Pace} says, so that calls may meet in any order.
 */
export class SimulatedHost {
  readonly store = Store.open(":memory:");
  readonly changes: VmChange[] = [];
  readonly warnings: string[] = [];
  readonly #pace: Pace;
  readonly #processes = new Set<SimProcess>();
  readonly #managers = new Set<number>();
  readonly #guests = new Map<string, Guest>();
  #pids = 100;

  constructor(pace: Pace) {
    this.#pace = pace;
    this.store.changes.subscribe((change) => {
      this.changes.push(change);
      // What is told to be over is over: nothing of it runs.
      if (change.state === "removed" || !isLive(change.state)) assert.deepEqual(this.alive(change.id), []);
    });
  }

  /** Processes of a VM. */
  alive(id?: VmId): readonly ProcessIdentity[] {
    const all = [...this.#processes].filter((process) => process.isAlive && (id === undefined || process.id === id));
    return all.map(({ identity }) => identity);
  }

  /** A description whose guest behaves so. */
  describe(guest: Guest = {}, more: object = {}): VmSpec {
    const bootArgs = JSON.stringify(guest);
    this.#guests.set(bootArgs, guest);
    return parseVmSpec({ kernel: "/k", bootArgs, ...more });
  }

  /** Ends a VM's process as if by itself. */
  end(id: VmId, cause: ExitCause): void {
    for (const process of this.#processes) if (process.id === id) this.#end(process, cause);
  }

  /** A manager, as a process of its own would have one. */
  openManager(): SimulatedManager {
    const pid = ++this.#pids;
    this.#managers.add(pid);
    const whenAlive = async (work: Promise<void>): Promise<void> => {
      await work;
      // Who is dead does not go on.
      if (!this.#managers.has(pid)) await new Promise(() => undefined);
    };
    const operations = this.#operations(identityOf(pid), () => whenAlive(this.#pace.tick()), whenAlive);
    return new SimulatedManager(this, operations, () => this.#managers.delete(pid));
  }

  #operations(
    self: ProcessIdentity,
    tick: () => Promise<void>,
    whenAlive: (work: Promise<void>) => Promise<void>,
  ): Operations {
    const { store } = this;
    const isOwn = ({ owner }: VmRecord) => owner?.pid === self.pid;
    const hasLivingOwner = ({ owner }: VmRecord) => owner !== undefined && this.#managers.has(owner.pid);
    const clock = {
      now: () => this.#pace.now(),
      monotonic: () => this.#pace.now(),
      sleep: (ms: number, signal?: AbortSignal) => whenAlive(this.#pace.sleep(ms, signal)),
    };
    const claim = (id: VmId, isAsWanted: (record: VmRecord) => boolean) => {
      const record = store.get(id);
      if (record === undefined || hasLivingOwner(record) || !isAsWanted(record)) return undefined;
      return store.update(id, (current) => ({ ...current, owner: self }));
    };
    const disclaim = (id: VmId) => {
      if (store.get(id) !== undefined) store.update(id, (record) => (isOwn(record) ? withoutOwner(record) : record));
    };
    const whileClaimed = async (id: VmId, work: () => Promise<void>) => {
      if (claim(id, ({ state }) => !isLive(state)) === undefined) throw inOtherHands(id, "removing");
      try {
        await work();
      } finally {
        disclaim(id);
      }
    };
    const operations: Operations = {
      store,
      clock: clock as unknown as Clock,
      warn: (message) => void this.warnings.push(message),
      observe: async (_name, _id, work) => work(),
      isOwn,
      hasLivingOwner,
      isStillRunning: ({ process }) => this.#find(process)?.isAlive === true,
      claimRestart: (id) => {
        const record = claim(id, ({ state }) => state === "restarting") ?? store.get(id);
        return record?.state === "restarting" && isOwn(record);
      },
      start: async (spec, { signal }, { renewal, idempotency }) => {
        const guest = this.#guests.get(spec.bootArgs) ?? {};
        const id = spec.id ?? assert.fail("a driver's VM has an id");
        const step = async () => {
          signal?.throwIfAborted();
          await tick();
        };
        await step();
        if (guest.fails === "plan") throw new WarderError("asset-missing", { doing: `planning ${id}`, why: "as told" });
        signal?.throwIfAborted();
        let process: SimProcess | undefined;
        store.transaction(() => {
          const before = store.get(id);
          if (renewal === undefined) {
            store.add(draft(id, spec, self));
            if (idempotency !== undefined) keepKey(store, idempotency, id);
          } else {
            if (before === undefined) throw notFound(id);
            const isFree = !hasLivingOwner(before) || (before.state === "restarting" && isOwn(before));
            if (!isFree || !renewal.from.includes(before.state)) throw inOtherHands(id, "starting");
            const plan = { binaries: before.binaries, layout: before.layout } as Parameters<
              typeof renewedRecord
            >[1]["plan"];
            store.update(id, (record) =>
              renewedRecord(record, { plan, user: { uid: 1, gid: 1 }, renewal, owner: self }),
            );
          }
          store.enter(id, [{ kind: "process", name: id }]);
        });
        try {
          await step();
          assert.deepEqual(this.alive(id), [], "a VM has one process at most");
          process = this.#spawn(id);
          const { identity } = process;
          store.update(id, (record) => ({ ...record, process: identity }));
          await step();
          if (guest.fails === "boot")
            throw new WarderError("firecracker-failed", { doing: `booting ${id}`, why: "as told" });
          signal?.throwIfAborted();
          store.update(id, (record) => {
            if (record.state !== "starting")
              throw new WarderError("aborted", { doing: `starting ${id}`, why: "told to stop" });
            return { ...record, state: "running", startedAt: this.#pace.now() };
          });
        } catch (error) {
          if (process !== undefined) this.#end(process, "killed");
          await tick();
          if (renewal === undefined) store.forget(id);
          throw WarderError.from(error, "internal", `starting ${id}`);
        }
        return this.#supervise(id, process, operations, tick);
      },
      adopt: (record) => {
        const process = this.#find(record.process) ?? assert.fail("there is no process to adopt");
        const isFree = (current: VmRecord) => isLive(current.state) && !hasLivingOwner(current);
        const owned = store.update(record.id, (current) => (isFree(current) ? { ...current, owner: self } : current));
        return isOwn(owned) ? this.#supervise(record.id, process, operations, tick) : undefined;
      },
      stopForOwner: async (record, ladder, options) => {
        const process = this.#find(record.process);
        if (process?.isAlive !== true) return { endedBy: undefined, rungs: [] };
        return this.#climb(process, operations.clock, ladder, options, tick);
      },
      setPower: async ({ process }, power, signal) => {
        await tick();
        signal.throwIfAborted();
        const found = this.#find(process);
        if (found?.isAlive !== true) throw new WarderError("api-unreachable", { doing: "power", why: "it has ended" });
        found.power = power;
      },
      readPower: async ({ process }) => {
        await tick();
        const found = this.#find(process);
        return found?.isAlive === true ? found.power : assert.fail("it has ended");
      },
      settle: async (record) => {
        await tick();
        if (hasLivingOwner(record) || !this.#isDue(record)) return;
        const claimed = claim(record.id, ({ generation }) => generation === record.generation);
        if (claimed === undefined) return;
        await tick();
        this.#settle(claimed, operations);
        disclaim(record.id);
      },
      clear: async (id) => {
        const record = store.get(id);
        if (record === undefined || store.ledger(id).length === 0) return;
        if (isOwn(record) && !hasEnded(record.state)) return this.#removeObjects(id, tick);
        await whileClaimed(id, () => this.#removeObjects(id, tick));
      },
      clearOwn: async (id) => {
        await this.#removeObjects(id, tick);
        const record = store.get(id);
        if (record !== undefined && hasEnded(record.state)) disclaim(id);
      },
      remove: async (id, mayRemove) => {
        await whileClaimed(id, async () => {
          mayRemove(store.get(id) ?? assert.fail("what is claimed is there"));
          await this.#removeObjects(id, tick);
          store.forget(id);
        });
      },
    };
    return operations;
  }

  /** One run, watched as `Supervision` does. */
  #supervise(id: VmId, process: SimProcess, operations: Operations, tick: () => Promise<void>): Run {
    const released = Promise.withResolvers<never>();
    const finish = async (): Promise<VmExit> => {
      const cause = await Promise.race([process.ended.promise, released.promise]);
      await tick();
      const exit = exitOf(cause, this.store.get(id), this.#pace.now());
      const { state } = enterEnd(operations, id, exit);
      await tick();
      this.store.strike(id);
      if (state !== "restarting") this.store.update(id, withoutOwner);
      return exit;
    };
    const finished = finish();
    finished.catch(() => undefined);
    return {
      proof: undefined,
      finished,
      shutDown: async (ladder, options) => {
        const outcome = await this.#climb(process, operations.clock, ladder, options, tick);
        await finished;
        return outcome;
      },
      release: async () => released.reject(new Error("released")),
    };
  }

  #climb(
    process: SimProcess,
    clock: Clock,
    ladder: Parameters<typeof shutDown>[1],
    options: Parameters<typeof shutDown>[3],
    tick: () => Promise<void>,
  ) {
    const apply = async (method: ShutdownMethod) => {
      this.store.update(process.id, (record) =>
        isLive(record.state) ? { ...record, state: "stopping", endedBy: method } : record,
      );
      await tick();
      const { bootArgs } = this.store.get(process.id)?.spec ?? { bootArgs: "" };
      const obeys = this.#guests.get(bootArgs)?.obeys ?? [];
      if (method === "sigkill" || obeys.includes(method))
        this.#end(process, method === "ctrl-alt-del" ? "stopped" : "killed");
      return undefined;
    };
    return shutDown(clock, ladder, { ended: process.ended.promise, apply }, options);
  }

  async #removeObjects(id: VmId, tick: () => Promise<void>): Promise<void> {
    for (const _round of [1, 2]) {
      await tick();
      assert.deepEqual(this.alive(id), [], "nothing is removed under a process that lives");
    }
    this.store.strike(id);
  }

  #isDue({ id, state, startedAt, owner, process }: VmRecord): boolean {
    if (!isLive(state)) return owner !== undefined || this.store.ledger(id).length > 0;
    return startedAt === undefined || this.#find(process)?.isAlive !== true;
  }

  #settle(record: VmRecord, operations: Operations): void {
    const { id, state, startedAt } = record;
    const isUnfinished = state === "starting" || (state === "stopping" && startedAt === undefined);
    if (isUnfinished) for (const each of this.#processes) if (each.id === id) this.#end(each, "killed");
    if (isLive(state)) {
      if (this.#find(record.process)?.isAlive === true) return;
      enterEnd(operations, id, exitOf(isUnfinished ? "start-failed" : "unknown", record, this.#pace.now()));
    }
    this.store.strike(id);
  }

  #spawn(id: VmId): SimProcess {
    const identity = identityOf(++this.#pids);
    const process: SimProcess = { id, identity, ended: Promise.withResolvers(), isAlive: true, power: "running" };
    this.#processes.add(process);
    return process;
  }

  #end(process: SimProcess, cause: ExitCause): void {
    if (process.isAlive) process.ended.resolve(cause);
    process.isAlive = false;
  }

  #find(identity: ProcessIdentity | undefined): SimProcess | undefined {
    return [...this.#processes].find((process) => process.identity.pid === identity?.pid);
  }
}

/** A process that leads VMs. */
export class SimulatedManager {
  readonly host: SimulatedHost;
  readonly operations: Operations;
  readonly #die: () => void;
  readonly #drivers: Drivers;
  isDead = false;

  constructor(host: SimulatedHost, operations: Operations, die: () => void) {
    this.host = host;
    this.operations = operations;
    this.#die = die;
    this.#drivers = new Drivers(operations);
  }

  driver(id: VmId): Driver {
    return this.#drivers.of(id);
  }

  /** Ends as by `kill -9`: nothing of it goes on, and nothing is put in order. */
  die(): void {
    this.isDead = true;
    this.#die();
  }

  /** Ends in order. */
  async close(): Promise<void> {
    await this.#drivers.close();
    this.die();
  }
}

function identityOf(pid: number): ProcessIdentity {
  return { pid, startTicks: String(pid), bootId: "boot" };
}

function draft(id: VmId, spec: VmSpec, owner: ProcessIdentity): VmRecord {
  const record = {
    id,
    state: "starting",
    generation: 0,
    incarnation: 1,
    createdAt: 1,
    spec,
    owner,
    history: [],
    timings: {},
  };
  return record as unknown as VmRecord;
}

/** The record of a VM that was created. */
export function createdRecord(id: string, spec: VmSpec): VmRecord {
  const { owner: _owner, ...record } = draft(toVmId(id), spec, identityOf(1));
  return { ...record, state: "created", incarnation: 0 };
}

function exitOf(cause: ExitCause, record: VmRecord | undefined, at: number): VmExit {
  const byUs = record?.endedBy === undefined ? cause : record.endedBy === "ctrl-alt-del" ? "stopped" : "killed";
  const known = cause === "start-failed" || cause === "guest-panic" || cause === "guest-ended" ? cause : byUs;
  return { code: null, signal: null, cause: known, evidence: ["simulated"], at };
}
