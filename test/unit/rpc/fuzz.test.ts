import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fuzzInMemory, fuzzSockets } from "../../fuzz/fuzz.ts";
import { defectsIn } from "../../fuzz/verdict.ts";
import { until } from "../../support/conformance/until.ts";
import { serveOnLoopback } from "../../support/rpc/on-loopback.ts";

/** `npm run test:fuzz` sends many more; these few are other ones each day, and the same for a whole day. */
const seed = Math.floor(Date.now() / 86_400_000);

describe(`any request gets a sound answer or a typed error (seed ${seed})`, () => {
  test("in memory", () => fuzzInMemory({ requests: 2_000, seed }));

  test("over sockets, in every protocol, and any bytes too; nothing of them stays", async (context) => {
    const { url, defects, traffic, failures } = await serveOnLoopback(context);
    await fuzzSockets(url, { requests: 1_000, seed });
    assert.deepEqual(defects, []);
    assert.deepEqual(defectsIn(failures), []);
    await until("all calls to be over", () => traffic.running.requests + traffic.running.streams === 0);
  });
});
