import http from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import fc from "fast-check";
import { FakeHost } from "../support/rpc/fake-host.ts";
import { serveInMemory } from "../support/rpc/in-memory.ts";
import { callTyped, sendRaw } from "./callers.ts";
import { anyRaw, anyTyped, type TypedRequest } from "./requests.ts";
import { defectsIn } from "./verdict.ts";

/** How much is asked, and from which seed it is made. */
export interface FuzzPlan {
  readonly requests: number;
  readonly seed: number;
}

/** Requests to one host, one after another, before the next one gets a new one. */
const PER_HOST = 50;

/** Calls of every service with no socket in between. Throws what is wrong with the first wrong answer. */
export async function fuzzInMemory(plan: FuzzPlan): Promise<void> {
  const sequence = fc.array(anyTyped, { minLength: PER_HOST, maxLength: PER_HOST });
  const property = fc.asyncProperty(sequence, async (sent) => {
    const { transport, failures } = serveInMemory(new FakeHost());
    for (const each of sent) judge(each.method, await callTyped(transport, each));
    for (const { error } of defectsIn(failures)) throw error;
  });
  await check(property, plan);
}

/** What a door speaks. Left out is what needs HTTP/2 where that is not spoken. */
export function transportsTo(baseUrl: string): readonly Transport[] {
  const [first, second] = [
    { baseUrl, httpVersion: "1.1" as const },
    { baseUrl, httpVersion: "2" as const },
  ];
  return [
    createConnectTransport({ ...first, useBinaryFormat: false }),
    createConnectTransport({ ...first, useBinaryFormat: true }),
    createConnectTransport({ ...second, useBinaryFormat: true }),
    createGrpcTransport(second),
    createGrpcWebTransport(first),
    createGrpcWebTransport(second),
  ];
}

/** Requests under way at a time. */
const AT_ONCE = 8;

/**
 * Calls over real sockets, in all protocols, and as many heaps of bytes. `mayAsk` leaves calls out; `tend` is called from
 * time to time.
 */
export async function fuzzSockets(
  url: string,
  plan: FuzzPlan,
  { mayAsk = () => true, tend }: { mayAsk?: (method: DescMethod) => boolean; tend?: () => Promise<void> | void } = {},
): Promise<void> {
  const transports = transportsTo(url);
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const typed = fc.record({
    kind: fc.constant("typed" as const),
    request: anyTyped,
    by: fc.constantFrom(...transports),
  });
  const raw = fc.record({ kind: fc.constant("raw" as const), request: anyRaw });
  const property = fc.asyncProperty(
    fc.array(fc.oneof(typed, raw), { minLength: PER_HOST, maxLength: PER_HOST }),
    async (sent) => {
      const queue = [...sent];
      const work = async () => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          if (next.kind === "raw") judge(next.request.path, await sendRaw(url, next.request, agent));
          else if (mayAsk(next.request.method) && canSpeak(next.request, next.by, transports))
            judge(next.request.method, await callTyped(next.by, next.request));
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      await tend?.();
    },
  );
  try {
    await check(property, plan);
  } finally {
    agent.destroy();
  }
}

/** Streams in both directions need HTTP/2, which these three speak. */
function canSpeak({ method }: TypedRequest, by: Transport, all: readonly Transport[]): boolean {
  return method.methodKind !== "bidi_streaming" || [2, 3, 5].includes(all.indexOf(by));
}

/** Says what went wrong, by which seed it is found again, and not the whole of what was sent. */
async function check(property: fc.IAsyncPropertyWithHooks<[unknown]>, { requests, seed }: FuzzPlan): Promise<void> {
  const { failed, counterexamplePath, errorInstance } = await fc.check(property, {
    seed,
    numRuns: Math.ceil(requests / PER_HOST),
    endOnFailure: true,
  });
  if (failed) throw new Error(`seed ${seed}, path ${counterexamplePath}: ${errorInstance}`, { cause: errorInstance });
}

function judge(asked: DescMethod | string, problem: string | undefined): void {
  if (problem === undefined) return;
  throw new Error(`${typeof asked === "string" ? asked : asked.toString()}: ${problem}`);
}
