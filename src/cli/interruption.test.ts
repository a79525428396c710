import assert from "node:assert/strict";
import { test } from "node:test";
import { Interrupted, Interrupter, signalStatus } from "./interruption.ts";

test("the first interruption asks to stop in order, the second to stop at once, the third is not heard", () => {
  const interrupter = new Interrupter();
  assert.equal(interrupter.interrupt("SIGINT"), true);
  assert.deepEqual([interrupter.signal.aborted, interrupter.force.aborted], [true, false]);
  assert.equal(interrupter.interrupt("SIGTERM"), true);
  assert.deepEqual([interrupter.signal.aborted, interrupter.force.aborted], [true, true]);
  assert.equal(interrupter.interrupt("SIGINT"), false);
});

test("the reason says by what, and the status is as shells count", () => {
  const interrupter = new Interrupter();
  interrupter.interrupt("SIGTERM");
  assert.ok(interrupter.signal.reason instanceof Interrupted);
  assert.equal(interrupter.signal.reason.exitStatus, 143);
  assert.deepEqual([signalStatus("SIGINT"), signalStatus("SIGKILL"), signalStatus("SIGPIPE")], [130, 137, 141]);
});

test("output that nobody reads is no word to what goes on without", () => {
  const interrupter = new Interrupter();
  interrupter.interrupt("SIGPIPE");
  assert.deepEqual([interrupter.signal.aborted, interrupter.told.aborted], [true, false]);
  interrupter.interrupt("SIGTERM");
  assert.deepEqual([interrupter.told.aborted, interrupter.force.aborted], [true, true]);
});
