import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { SimulatedTime } from "../../test/support/simulated-time.ts";
import { createdRecord, type Guest, SimulatedHost, type SimulatedManager } from "../../test/support/simulated-vms.ts";
import type { VmChange } from "../vm/change.ts";
import { isWarderError } from "../vm/error.ts";
import type { ErrorCode } from "../vm/error-codes.ts";
import type { ExitCause } from "../vm/exit.ts";
import { toVmId, type VmId } from "../vm/id.ts";
import type { VmSpec } from "../vm/spec.ts";
import { canTransition, firstStates } from "../vm/state.ts";
import type { Driver } from "./driver.ts";

const ids: readonly [VmId, VmId] = [toVmId("a"), toVmId("b")];

/** What callers can ask of a VM, and with which keys. */
const calls: Readonly<Record<string, (driver: Driver, spec: VmSpec, options: CallOptions) => Promise<unknown>>> = {
  make: (driver, spec, { signal }) => driver.make({ ...spec, id: driver.id }, { signal }),
  start: (driver, _spec, options) => driver.start(options),
  stop: (driver, _spec, { signal }) => driver.stop({ signal }),
  kill: (driver, _spec, { signal }) => driver.kill({ signal }),
  reboot: (driver, _spec, options) => driver.reboot(options),
  pause: (driver, _spec, { signal }) => driver.setPower("paused", { signal }),
  resume: (driver, _spec, { signal }) => driver.setPower("running", { signal }),
  remove: (driver, _spec, { signal }) => driver.remove({ signal }),
  "remove by force": (driver, _spec, { signal }) => driver.remove({ signal, force: true }),
  wait: (driver, _spec, { signal }) => driver.wait({ signal }),
  "look after": async (driver) => driver.lookAfter(),
};

interface CallOptions {
  readonly signal: AbortSignal;
  readonly idempotencyKey?: string;
}

/** What may come of a call in a world where everything happens at once. Anything else is a defect. */
const honest: readonly ErrorCode[] = [
  ...(["wrong-state", "aborted", "vm-not-found", "vm-exists", "vm-busy", "deadline-exceeded"] as const),
  ...(["firecracker-failed", "asset-missing", "api-unreachable"] as const),
];

type Action =
  | {
      readonly kind: "call";
      readonly name: string;
      readonly vm: 0 | 1;
      readonly manager: 0 | 1;
      readonly guest: number;
      readonly key: string | undefined;
      /** The caller gives up after so many steps. */
      readonly patience: number | undefined;
    }
  | { readonly kind: "guest ends"; readonly vm: 0 | 1; readonly cause: ExitCause }
  | { readonly kind: "manager dies"; readonly manager: 0 | 1; readonly inOrder: boolean }
  | { readonly kind: "time passes"; readonly choices: readonly number[] };

const which = fc.constantFrom<0 | 1>(0, 1);
const call = fc.record({
  kind: fc.constant("call" as const),
  name: fc.constantFrom(...Object.keys(calls), "start", "stop", "reboot"),
  vm: which,
  manager: which,
  guest: fc.nat(20),
  key: fc.option(fc.constantFrom("k1", "k2"), { nil: undefined, freq: 3 }),
  patience: fc.option(fc.nat(6), { nil: undefined, freq: 4 }),
});
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: call },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("time passes" as const),
      choices: fc.array(fc.nat(9), { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("guest ends" as const),
      vm: which,
      cause: fc.constantFrom<ExitCause>("guest-ended", "guest-panic", "killed-by-stranger"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("manager dies" as const), manager: which, inOrder: fc.boolean() }),
  },
);

const guests: readonly Guest[] = [
  {},
  { obeys: ["ctrl-alt-del"] },
  { obeys: ["sigterm"] },
  { fails: "boot" },
  { fails: "plan" },
];
const policies = [{ policy: "never" }, { policy: "on-failure", maxRetries: 2 }, { policy: "always" }] as const;

/** Two VMs, two managers on one state, and callers of both. */
class World {
  readonly time = new SimulatedTime();
  readonly host = new SimulatedHost(this.time);
  readonly managers: SimulatedManager[] = [this.host.openManager(), this.host.openManager()];
  readonly #open: { readonly what: string; readonly isAnswered: () => boolean }[] = [];
  readonly defects: unknown[] = [];

  constructor() {
    this.host.store.add(createdRecord(ids[0], this.spec(0)));
  }

  spec(number: number): VmSpec {
    const guest = guests[number % guests.length] ?? {};
    return this.host.describe(guest, { restart: policies[number % policies.length] });
  }

  async do(action: Action): Promise<void> {
    if (action.kind === "call") this.#call(action);
    else if (action.kind === "guest ends") this.host.end(ids[action.vm], action.cause);
    else if (action.kind === "time passes") for (const choice of action.choices) await this.time.step(choice);
    else await this.#replace(action.manager, action.inOrder);
  }

  /** Lets everything go on until it is so. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    let idle = 0;
    for (let steps = 0; !isSo(); steps++) {
      assert.ok(steps < 20_000, `it never came to be that ${what}: ${JSON.stringify(this.host.store.list())}`);
      idle = (await this.time.step(steps * 7)) ? 0 : idle + 1;
      assert.ok(idle < 10, `nothing is to come, and it is not so that ${what}`);
      if (idle > 0) await turn();
    }
  }

  /** Somebody cleans up, until all is gone and everybody has an answer: a call that waited may start a VM once more. */
  async cleanUp(): Promise<void> {
    const [manager] = this.managers as [SimulatedManager];
    const isOver = () => this.host.store.list().length === 0 && this.#open.every(({ isAnswered }) => isAnswered());
    for (let round = 0; !isOver(); round++) {
      assert.ok(
        round < 50,
        `there is no end: ${this.#open.filter(({ isAnswered }) => !isAnswered()).map(({ what }) => what)}`,
      );
      for (const id of ids) await this.#answer(manager.driver(id).remove({ force: true }));
      await this.time.step(round);
    }
  }

  async #answer(call: Promise<void>): Promise<void> {
    let isAnswered = false;
    const answered = () => {
      isAnswered = true;
    };
    call.then(answered, answered);
    await this.until(() => isAnswered, "a VM is removed");
  }

  /** A manager that ended, in order or not, has another one in its place, as a service has. */
  async #replace(place: 0 | 1, inOrder: boolean): Promise<void> {
    const manager = this.managers[place] ?? assert.fail();
    if (inOrder) this.#await("close", manager, manager.close());
    else manager.die();
    this.managers[place] = this.host.openManager();
    const { operations } = this.managers[place] ?? assert.fail();
    for (const record of this.host.store.list()) void operations.settle(record);
  }

  #call({ name, vm, manager: place, guest, key, patience }: Extract<Action, { kind: "call" }>): void {
    const manager = this.managers[place] ?? assert.fail();
    const caller = new AbortController();
    if (patience !== undefined) void this.#giveUp(caller, patience);
    const options = { signal: caller.signal, ...(key === undefined ? {} : { idempotencyKey: key }) };
    const work = async () => calls[name]?.(manager.driver(ids[vm]), this.spec(guest), options);
    this.#await(`${name} of ${ids[vm]}`, manager, work());
  }

  /** Nobody answers for a manager that is dead. */
  #await(what: string, manager: SimulatedManager, call: Promise<unknown>): void {
    let isAnswered = false;
    this.#open.push({ what, isAnswered: () => isAnswered || manager.isDead });
    call.then(
      () => {
        isAnswered = true;
      },
      (error: unknown) => {
        isAnswered = true;
        if (!isWarderError(error) || !honest.includes(error.code)) this.defects.push(error);
      },
    );
  }

  async #giveUp(caller: AbortController, ticks: number): Promise<void> {
    for (let tick = 0; tick < ticks; tick++) await this.time.tick();
    caller.abort();
  }
}

/** Every change is one that there can be, and follows from the one before it. */
function assertHistory(changes: readonly VmChange[]): void {
  const last = new Map<VmId, VmChange>();
  for (const [index, change] of changes.entries()) {
    const before = last.get(change.id);
    assert.equal(change.sequence, index + 1);
    if (before === undefined || before.state === "removed") {
      assert.equal(change.previous, null);
      assert.ok(
        firstStates.some((state) => state === change.state),
        change.state,
      );
    } else {
      assert.equal(change.previous, before.state);
      assert.ok(canTransition(before.state, change.state), `${before.state} to ${change.state}`);
      assert.ok(change.generation > before.generation);
      assert.equal(change.incarnation, before.incarnation + (change.state === "starting" ? 1 : 0));
    }
    last.set(change.id, change);
  }
}

const runs = Number(process.env.WARDER_MODEL_RUNS ?? 150);

test("whatever several callers of two managers ask at once, no VM is ever where it can not be, and nothing is left in the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      const world = new World();
      for (const each of actions) await world.do(each);
      await world.cleanUp();
      assert.deepEqual(world.defects, []);
      assert.deepEqual([world.host.alive(), world.host.store.ledger()], [[], []]);
      assertHistory(world.host.changes);
    }),
    { numRuns: runs },
  );
});
