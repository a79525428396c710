import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "../host/host.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import type { ProcessExit } from "../vm/process.ts";
import type { InstanceInfo, InstanceState } from "./answers.ts";
import type { CallOptions } from "./exchange.ts";
import { waitUntilReady } from "./ready.ts";

const unreachable = (system: string) =>
  new WarderError("api-unreachable", {
    doing: "asking",
    why: system,
    cause: Object.assign(new Error(system), { code: system }),
  });
const answer = (state: InstanceState, id = "vm-1"): InstanceInfo => ({
  id,
  state,
  vmm_version: "1.12.1",
  app_name: "Firecracker",
});

/** A Firecracker that gives one answer after the other, and the last for ever; and a clock that moves by sleeping. */
function fake(...answers: (InstanceInfo | Error | "hang")[]) {
  let nowMs = 0;
  const asked: CallOptions[] = [];
  const clock = {
    monotonic: () => nowMs,
    sleep: async (milliseconds: number, signal?: AbortSignal) => {
      // As a real timer does, let everything else happen first.
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      nowMs += milliseconds;
    },
  } as Clock;
  const client = {
    instanceInfo: async (options: CallOptions = {}): Promise<InstanceInfo> => {
      asked.push(options);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      if (next === undefined || next === "hang") return untilAborted(options.signal);
      if (next instanceof Error) throw next;
      return next;
    },
  };
  return { clock, client, asked, elapsedMs: () => nowMs };
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

async function failure(promise: Promise<unknown>): Promise<WarderError> {
  try {
    await promise;
  } catch (error) {
    if (isWarderError(error)) return error;
    throw error;
  }
  return assert.fail("it did not fail");
}

describe("waitUntilReady", () => {
  it("asks once where Firecracker answers at once", async () => {
    const { client, clock, asked, elapsedMs } = fake(answer("Running"));
    assert.equal((await waitUntilReady(client, "vm-1", "Running", { clock })).state, "Running");
    assert.deepEqual([asked.length, elapsedMs()], [1, 0]);
  });

  it("asks again within a millisecond or two until the socket is there and served", async () => {
    const { client, clock, elapsedMs } = fake(
      unreachable("ENOENT"),
      unreachable("ENOENT"),
      unreachable("ECONNREFUSED"),
      answer("Running"),
    );
    await waitUntilReady(client, "vm-1", "Running", { clock });
    assert.ok(elapsedMs() <= 6, `${elapsedMs()} ms`);
  });

  it("waits for a VM that is not started yet", async () => {
    const { client, clock } = fake(answer("Not started"), answer("Not started"), answer("Running"));
    assert.equal((await waitUntilReady(client, "vm-1", "Running", { clock })).state, "Running");
  });

  it("refuses another VM's Firecracker at once", async () => {
    const { client, clock } = fake(answer("Running", "vm-2"));
    const error = await failure(waitUntilReady(client, "vm-1", "Running", { clock }));
    assert.equal(error.code, "process-stranger");
    assert.match(error.message, /"vm-2" answers on its socket/);
  });

  it("refuses a state that does not lead to the wanted one", async () => {
    const { client, clock } = fake(answer("Paused"));
    assert.equal((await failure(waitUntilReady(client, "vm-1", "Running", { clock }))).code, "wrong-state");
  });

  it("does not wait for a process that has ended, and says how it did", async () => {
    const { client, clock } = fake(unreachable("ENOENT"));
    const exited = Promise.resolve<ProcessExit>({ code: 1, signal: null });
    const error = await failure(waitUntilReady(client, "vm-1", "Running", { clock, exited }));
    assert.equal(error.code, "firecracker-failed");
    assert.match(error.why, /ended with status 1/);
  });

  it("says how a process ended that took the request and died, though the lost connection is seen first", async () => {
    const { client, clock } = fake(unreachable("ECONNRESET"), unreachable("ECONNREFUSED"));
    const exited = new Promise<ProcessExit>((resolve) => setImmediate(() => resolve({ code: 1, signal: null })));
    const error = await failure(waitUntilReady(client, "vm-1", "Running", { clock, exited }));
    assert.equal(error.code, "firecracker-failed");
  });

  it("does not wait for an answer that a dead process owes", async () => {
    const { client, clock } = fake("hang");
    const exited = new Promise<ProcessExit>((resolve) =>
      setImmediate(() => resolve({ code: null, signal: "SIGKILL" })),
    );
    assert.match((await failure(waitUntilReady(client, "vm-1", "Running", { clock, exited }))).why, /ended by SIGKILL/);
  });

  it("gives up at its deadline, and says what it last saw", async () => {
    const { client, clock, elapsedMs } = fake(unreachable("ENOENT"));
    const error = await failure(waitUntilReady(client, "vm-1", "Running", { clock, timeoutMs: 50 }));
    assert.equal(error.code, "start-timeout");
    assert.match(error.why, /not Running in time: its socket was not served \(ENOENT\)/);
    assert.ok(elapsedMs() >= 50 && elapsedMs() < 55);
  });

  it("gives each request no more than the time that is left", async () => {
    const { client, clock, asked } = fake(unreachable("ENOENT"), unreachable("ENOENT"), answer("Running"));
    await waitUntilReady(client, "vm-1", "Running", { clock, timeoutMs: 50 });
    assert.deepEqual(
      asked.map(({ timeoutMs }) => timeoutMs),
      [50, 49, 48],
    );
  });

  it("takes a request that is not answered in time for a late start", async () => {
    const { client, clock } = fake(new WarderError("deadline-exceeded", { doing: "asking", why: "too slow" }));
    const error = await failure(waitUntilReady(client, "vm-1", "Running", { clock }));
    assert.equal(error.code, "start-timeout");
    assert.match(error.why, /took the request and did not answer/);
  });

  it("ends at once when it is told to", async () => {
    const { client, clock } = fake("hang");
    const giveUp = new AbortController();
    const waiting = failure(waitUntilReady(client, "vm-1", "Running", { clock, signal: giveUp.signal }));
    giveUp.abort();
    assert.equal((await waiting).code, "aborted");
  });

  it("passes on what is not a matter of time", async () => {
    const { client, clock, asked } = fake(new WarderError("api-protocol", { doing: "asking", why: "garbage" }));
    assert.equal((await failure(waitUntilReady(client, "vm-1", "Running", { clock }))).code, "api-protocol");
    assert.equal(asked.length, 1);
  });
});
