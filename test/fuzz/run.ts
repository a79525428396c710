/**
 * Asks everything of everything: `npm run test:fuzz -- [--requests N] [--seed S]`. Four in five requests go to the services
 * in memory; the others, among them heaps of bytes, over sockets, in every protocol. Prints the seed, and the first answer
 * that is neither sound nor a typed error; status 1 if there was one.
 */
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { parseArgs } from "node:util";
import { until } from "../support/conformance/until.ts";
import { serveOnLoopback } from "../support/rpc/on-loopback.ts";
import { fuzzInMemory, fuzzSockets } from "./fuzz.ts";
import { defectsIn } from "./verdict.ts";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "100000" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
  },
});
const requests = Number(values.requests);
const seed = Number(values.seed);
const overSockets = Math.ceil(requests / 5);

test(`${requests - overSockets} requests in memory, seed ${seed}`, () =>
  fuzzInMemory({ requests: requests - overSockets, seed }));

test(`${overSockets} requests over sockets, seed ${seed}`, async (context) => {
  const { url, host, defects, failures, traffic } = await serveOnLoopback(context);
  await fuzzSockets(
    url,
    { requests: overSockets, seed },
    {
      async tend() {
        // All VMs of a host are in each list: without this most of the time would go into that.
        for (const { id } of host.records()) await host.get(id).remove({ force: true });
        const [failure] = defectsIn(failures.splice(0));
        if (failure !== undefined) throw failure.error;
        if (defects.length > 0) throw defects[0];
      },
    },
  );
  await until("all calls to be over", () => traffic.running.requests + traffic.running.streams === 0);
});
