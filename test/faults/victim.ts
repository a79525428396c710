/**
 * A manager that dies: `node --import ./effects.ts victim.ts ORDER`, ORDER being JSON. Writes a line for each thing that
 * the harness must know of, and `done` with the count of effects where it came to its end alive.
 */
import { writeFileSync, writeSync } from "node:fs";
import { Warder, type WarderOptions } from "../../src/index.ts";
import { arm, type Death, effectsSoFar } from "./effects.ts";
import { operations, TARGET, WITNESS } from "./operations.ts";

/** What a victim is to do. */
export interface Order {
  readonly operation: string;
  /** Absent: the harness kills it, at a moment of its choice, after the line `armed`. */
  readonly death?: Death;
  readonly options: WarderOptions & { readonly stateDir: string };
  /** A bug that it has, for the harness to find. */
  readonly plant?: Bug;
}

/** Bugs that a manager may be given. */
export type Bug = "jail" | "record" | "lease" | "draft" | "hang";

const order = JSON.parse(process.argv[2] ?? "") as Order;
const operation = operations[order.operation];
if (operation === undefined) throw new RangeError(`there is no operation ${order.operation}`);
const say = (line: string) => void writeSync(1, `${line}\n`);
const armNow = () => {
  arm(order.death ?? { effect: 0, moment: "before" }, (what) => say(`died ${what}`));
  say("armed");
};

const options: WarderOptions = { ...order.options, reporter: { warn: () => undefined, note: () => undefined } };
if (operation.perform === undefined) armNow();
const warder = await Warder.open(options);
if (operation.perform !== undefined) {
  await operation.prepare(warder);
  if (order.plant !== undefined) await plantBug(warder, order.plant);
  armNow();
  if (order.plant !== "record") await operation.perform(warder);
}
say(`done ${effectsSoFar()}`);
process.kill(process.pid, "SIGKILL");

/** Has the manager do what it must not. */
async function plantBug(manager: Warder, bug: Bug): Promise<void> {
  const { store, host } = manager.machinery;
  const bugs: Record<Bug, () => unknown> = {
    jail: () => {
      const { removeTree } = host.files;
      const isJail = (path: string) => path.startsWith(`${order.options.chrootBase}/`);
      Object.assign(host.files, {
        removeTree: async (path: string, signal?: AbortSignal) => isJail(path) || removeTree(path, signal),
      });
    },
    record: () => manager.get(TARGET).remove({ force: true }),
    lease: () => store.leases.claim("host-port", "tcp:9", manager.get(WITNESS).id),
    // Pid 1 lives, so nobody sweeps it.
    draft: () => writeFileSync(`${order.options.stateDir}/planted.new-1`, ""),
    hang: () => new Promise(() => setInterval(() => undefined, 1_000)),
  };
  await bugs[bug]();
}
