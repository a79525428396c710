import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Serving } from "./serving.ts";

const SERVICE = "warder.v1.VmService";

describe("whether the daemon serves", () => {
  test("is the same for the daemon and its services, and not known of others", () => {
    const serving = new Serving([SERVICE]);
    assert.deepEqual([serving.statusOf(""), serving.statusOf(SERVICE)], ["NOT_SERVING", "NOT_SERVING"]);
    serving.set("ready");
    assert.deepEqual(
      [serving.statusOf(""), serving.statusOf(SERVICE), serving.statusOf("other")],
      ["SERVING", "SERVING", "SERVICE_UNKNOWN"],
    );
    serving.set("draining");
    assert.equal(serving.statusOf(SERVICE), "NOT_SERVING");
  });

  test("is told to watchers at once and at every change, each status once", async () => {
    const serving = new Serving([SERVICE]);
    const over = new AbortController();
    const told: string[] = [];
    const watching = (async () => {
      for await (const status of serving.watch(SERVICE, over.signal)) told.push(status);
    })();
    for (const state of ["starting", "ready", "ready", "draining"] as const) {
      await new Promise(setImmediate);
      serving.set(state);
    }
    await new Promise(setImmediate);
    over.abort();
    await watching;
    assert.deepEqual(told, ["NOT_SERVING", "SERVING", "NOT_SERVING"]);
  });

  test("is told to a slow watcher as it is when it looks, not as it was", async () => {
    const serving = new Serving([]);
    const watch = serving.watch("", new AbortController().signal);
    assert.equal((await watch.next()).value, "NOT_SERVING");
    serving.set("ready");
    serving.set("draining");
    serving.set("ready");
    assert.equal((await watch.next()).value, "SERVING");
    await watch.return();
  });

  test("stays unknown, and the watch open, for a service that is none of its own", async () => {
    const serving = new Serving([]);
    const over = new AbortController();
    const watch = serving.watch("other", over.signal);
    assert.equal((await watch.next()).value, "SERVICE_UNKNOWN");
    const next = watch.next();
    serving.set("ready");
    over.abort();
    assert.equal((await next).done, true);
  });

  test("is over at once for who has gone already", async () => {
    const watch = new Serving([]).watch("", AbortSignal.abort());
    assert.equal((await watch.next()).done, true);
  });
});
