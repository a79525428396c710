import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../host/host.ts";
import type { VmId } from "../vm/id.ts";
import type { VmRecord } from "../vm/record.ts";
import type { VmHealth } from "./health.ts";
import { HealthMonitor } from "./health-monitor.ts";

const settings = { intervalMs: 30_000, failureThreshold: 3, recoveryThreshold: 2 };

/** VMs whose health a test chooses, and a monitor that makes a round when the test says so. */
class World {
  readonly vms = new Map<string, VmHealth["status"]>();
  readonly changes: string[] = [];
  readonly failures: unknown[] = [];
  readonly sleeps: number[] = [];
  isListBroken = false;
  looking = 0;
  lookingAtMost = 0;
  readonly monitor: HealthMonitor;
  #slept = Promise.withResolvers<void>();
  #wake: () => void = () => undefined;

  constructor() {
    this.monitor = new HealthMonitor({
      clock: { sleep: (ms, signal) => this.#sleep(ms, signal) } as Clock,
      settings,
      list: () => {
        if (this.isListBroken) throw new Error("the store is gone");
        return [...this.vms.keys()].map((id) => ({ id }) as VmRecord);
      },
      look: (record) => this.#look(record),
      onChange: ({ id }, isHealthy) => void this.changes.push(`${id} ${isHealthy ? "healthy" : "unhealthy"}`),
      onFailure: (error) => void this.failures.push(error),
    });
  }

  /** Settles when the next round is over. */
  async round(): Promise<void> {
    const { promise } = this.#slept;
    this.#wake();
    await promise;
  }

  isHealthy(id: string): boolean | undefined {
    return this.monitor.isHealthy(id as VmId);
  }

  async #look({ id }: VmRecord): Promise<VmHealth> {
    this.looking++;
    this.lookingAtMost = Math.max(this.lookingAtMost, this.looking);
    await new Promise(setImmediate);
    this.looking--;
    return { id, status: this.vms.get(id) } as VmHealth;
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleeps.push(ms);
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    signal?.addEventListener("abort", () => woken.reject(signal.reason), { once: true });
    this.#slept.resolve();
    this.#slept = Promise.withResolvers();
    return woken.promise;
  }
}

describe("the health monitor", () => {
  test("takes a VM for healthy after one good look, and says nothing of it", async () => {
    const world = new World();
    world.vms.set("a", "healthy");
    await world.round();
    await world.round();
    assert.equal(world.isHealthy("a"), true);
    assert.equal(world.monitor.latest("a" as VmId)?.status, "healthy");
    assert.deepEqual(world.changes, []);
    assert.deepEqual(new Set(world.sleeps), new Set([30_000]));
    await world.monitor[Symbol.asyncDispose]();
  });

  test("takes it for unhealthy after three bad looks in a row, and for healthy again after two good ones", async () => {
    const world = new World();
    const looks = ["healthy", "unhealthy", "unhealthy", "healthy", "unhealthy", "unhealthy", "unhealthy"] as const;
    const standings: (boolean | undefined)[] = [];
    await world.round();
    for (const look of [...looks, "healthy", "unhealthy", "healthy", "healthy"] as const) {
      world.vms.set("a", look);
      await world.round();
      standings.push(world.isHealthy("a"));
    }
    assert.deepEqual(standings, [true, true, true, true, true, true, false, false, false, false, true]);
    assert.deepEqual(world.changes, ["a unhealthy", "a healthy"]);
    await world.monitor[Symbol.asyncDispose]();
  });

  test("says nothing of a VM that was never found healthy before it has failed often enough", async () => {
    const world = new World();
    await world.round();
    world.vms.set("a", "unhealthy");
    await world.round();
    await world.round();
    assert.equal(world.isHealthy("a"), undefined);
    await world.round();
    assert.equal(world.isHealthy("a"), false);
    assert.deepEqual(world.changes, ["a unhealthy"]);
    await world.monitor[Symbol.asyncDispose]();
  });

  test("forgets VMs that do not run any more, and those that are gone", async () => {
    const world = new World();
    world.vms.set("a", "healthy");
    world.vms.set("b", "healthy");
    await world.round();
    await world.round();
    world.vms.set("a", "not-running");
    world.vms.delete("b");
    await world.round();
    assert.deepEqual([world.isHealthy("a"), world.isHealthy("b")], [undefined, undefined]);
    await world.monitor[Symbol.asyncDispose]();
  });

  test("looks at a bounded number of VMs at the same time, and at all of them", async () => {
    const world = new World();
    await world.round();
    for (let index = 0; index < 50; index++) world.vms.set(`vm-${index}`, "healthy");
    await world.round();
    assert.equal(world.lookingAtMost, 8);
    for (const id of world.vms.keys()) assert.equal(world.isHealthy(id), true);
    await world.monitor[Symbol.asyncDispose]();
  });

  test("goes on after a round that could not be made", async () => {
    const world = new World();
    world.vms.set("a", "healthy");
    world.isListBroken = true;
    await world.round();
    await world.round();
    assert.notEqual(world.failures.length, 0);
    world.isListBroken = false;
    await world.round();
    assert.equal(world.isHealthy("a"), true);
    await world.monitor[Symbol.asyncDispose]();
  });

  test("never turns a standing with fewer looks in a row than the settings say", async () => {
    const world = new World();
    await world.round();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 15 }), async (looks) => {
        world.vms.clear();
        await world.round();
        let row = 0;
        let standing: boolean | undefined;
        for (const isGood of looks) {
          world.vms.set("a", isGood ? "healthy" : "unhealthy");
          await world.round();
          row = isGood === standing ? 0 : row + 1;
          const now = world.isHealthy("a");
          if (now !== standing && standing !== undefined) assert.equal(row, isGood ? 2 : 3);
          if (now !== standing) row = 0;
          standing = now;
        }
      }),
      { numRuns: 50 },
    );
    await world.monitor[Symbol.asyncDispose]();
  });
});
