/**
 * A manager that dies: `node --import ./effects.ts victim.ts ORDER`, ORDER being JSON. Writes a line for each thing that
 * the harness must know of, and `done` with the count of effects where it came to its end alive.
 */
import { writeSync } from "node:fs";
import { Warder, type WarderOptions } from "../../src/index.ts";
import { arm, type Death, effectsSoFar } from "./effects.ts";
import { operations } from "./operations.ts";

/** What a victim is to do. */
export interface Order {
  readonly operation: string;
  /** Absent: the harness kills it, at a moment of its choice, after the line `armed`. */
  readonly death?: Death;
  readonly options: WarderOptions;
}

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
  armNow();
  await operation.perform(warder);
}
say(`done ${effectsSoFar()}`);
process.kill(process.pid, "SIGKILL");
