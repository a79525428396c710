import assert from "node:assert/strict";
import { test } from "node:test";
import { toVmId } from "../vm/id.ts";
import { CpuMeter } from "./cpu-meter.ts";

const id = toVmId("vm-1");

test("the first look tells of the time since the start, the next of the time since the last", () => {
  const clock = { now: 10_000 };
  const meter = new CpuMeter(() => clock.now);
  const vm = { id, incarnation: 1, startedAt: 0 };
  assert.equal(meter.percentOf(vm, 5_000_000), 50);
  clock.now = 12_000;
  assert.equal(meter.percentOf(vm, 9_000_000), 200);
});

test("looks that come close after one another do not wear the figure down", () => {
  const clock = { now: 10_000 };
  const meter = new CpuMeter(() => clock.now);
  const vm = { id, incarnation: 1, startedAt: 0 };
  meter.percentOf(vm, 0);
  clock.now = 10_500;
  // Since the start: too little time has gone by since the last look.
  assert.equal(meter.percentOf(vm, 1_050_000), 10);
  clock.now = 12_000;
  assert.equal(meter.percentOf(vm, 2_000_000), 100);
});

test("a run of its own is looked at by itself", () => {
  const clock = { now: 10_000 };
  const meter = new CpuMeter(() => clock.now);
  meter.percentOf({ id, incarnation: 1, startedAt: 0 }, 9_000_000);
  clock.now = 21_000;
  assert.equal(meter.percentOf({ id, incarnation: 2, startedAt: 20_000 }, 500_000), 50);
});

test("what is not known is not made up", () => {
  const meter = new CpuMeter(() => 10_000);
  assert.equal(meter.percentOf({ id, incarnation: 1, startedAt: 0 }, undefined), undefined);
  assert.equal(meter.percentOf({ id, incarnation: 0 }, 5), undefined);
  assert.equal(meter.percentOf({ id, incarnation: 1, startedAt: 10_000 }, 5), undefined);
});
