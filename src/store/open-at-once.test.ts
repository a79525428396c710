import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

const OPENERS = 4;
const ROUNDS = 8;

/** Opens each path as soon as all the others are about to; says why where it can not. */
const opener = `
  const { parentPort, workerData } = require("node:worker_threads");
  const gate = new Int32Array(workerData.gate);
  import(workerData.module).then(({ Store }) => {
    workerData.paths.forEach((path, round) => {
      const all = (round + 1) * workerData.openers;
      if (Atomics.add(gate, 0, 1) + 1 === all) Atomics.notify(gate, 0);
      for (let seen = Atomics.load(gate, 0); seen < all; seen = Atomics.load(gate, 0)) Atomics.wait(gate, 0, seen);
      try { const store = Store.open(path); store.list(); store.close(); }
      catch (error) { parentPort.postMessage(error.message); }
    });
  });`;

test("a new state is opened by several at once", async (t) => {
  const directory = fs.mkdtempSync(join(tmpdir(), "warder-store-"));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const workerData = {
    gate: new SharedArrayBuffer(4),
    module: join(import.meta.dirname, "store.ts"),
    openers: OPENERS,
    paths: Array.from({ length: ROUNDS }, (_each, round) => join(directory, `${round}.db`)),
  };
  const failures: unknown[] = [];
  const workers = Array.from({ length: OPENERS }, () => new Worker(opener, { eval: true, workerData }));
  const ended = workers.map((worker) => {
    worker.on("message", (message) => failures.push(message));
    return new Promise((resolve) => worker.once("exit", resolve));
  });
  assert.deepEqual(await Promise.all(ended), Array(OPENERS).fill(0));
  assert.deepEqual(failures, []);
});
