import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { VmId } from "../vm/id.ts";
import { Meters } from "./meters.ts";
import type { Drains } from "./start-context.ts";

const ID = "vm-1" as VmId;
const LINE = '{"utc_timestamp_ms":1,"block":{"read_bytes":5}}\n';

/** Drains whose bytes a test makes up. */
function fakeDrains() {
  const listeners = new Set<(chunk: Uint8Array) => void>();
  const subscribe = (listener: (chunk: Uint8Array) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const drains = { console: { droppedBytes: 1 }, log: { droppedBytes: 2 }, metrics: { droppedBytes: 3, subscribe } };
  return {
    drains: drains as unknown as Drains,
    listeners,
    write: (text: string) => {
      for (const listener of listeners) listener(Buffer.from(text));
    },
  };
}

describe("the meters of VMs", () => {
  test("count what a VM's Firecracker says, as long as its output is read", () => {
    const meters = new Meters(() => 0);
    const { drains, write, listeners } = fakeDrains();
    const detach = meters.attach(ID, drains);
    write(LINE);
    write("nonsense\n");
    assert.equal(meters.devices(ID)?.blockReadBytes, 5);
    assert.deepEqual(meters.droppedBytes(ID), { console: 1, log: 2, metrics: 3 });
    assert.deepEqual(meters.lines, { taken: 1, refused: 1 });
    detach();
    detach();
    assert.deepEqual([meters.devices(ID), meters.droppedBytes(ID), listeners.size], [undefined, undefined, 0]);
    assert.deepEqual(meters.lines, { taken: 1, refused: 1 }, "what was counted stays counted");
  });

  test("begin anew with a VM's next run, whose end is not the last one's", () => {
    const meters = new Meters(() => 0);
    const [first, second] = [fakeDrains(), fakeDrains()];
    const detachFirst = meters.attach(ID, first.drains);
    first.write(LINE);
    meters.attach(ID, second.drains);
    second.write(LINE + LINE);
    detachFirst();
    assert.equal(meters.devices(ID)?.blockReadBytes, 10);
    assert.deepEqual([first.listeners.size, second.listeners.size], [0, 1]);
    assert.deepEqual(meters.lines, { taken: 3, refused: 0 });
  });
});
