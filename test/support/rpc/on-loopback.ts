import type { TestContext } from "node:test";
import { Front } from "../../../src/rpc/front.ts";
import { Traffic, type TrafficLimits } from "../../../src/rpc/gate/traffic.ts";
import type { Door } from "../../../src/rpc/server/door.ts";
import { WebServer } from "../../../src/rpc/server/web-server.ts";
import { FakeHost } from "./fake-host.ts";
import { assemble, type InMemoryOptions } from "./in-memory.ts";

/** What a test may want to be otherwise. */
export interface OnLoopbackOptions extends InMemoryOptions {
  readonly door?: Door;
  /** Which door requests are taken to have come through, where that is not the one they come through. */
  readonly takenFor?: Door["kind"];
  readonly traffic?: TrafficLimits;
  readonly maxBodyBytes?: number;
}

/** A daemon's front on a port of its own, over a host in memory, on which everybody may do everything. */
export async function serveOnLoopback(context: TestContext, options: OnLoopbackOptions = {}) {
  const host = new FakeHost();
  const everybody = { userOf: () => 0, isTrustedUser: () => true, anonymousRole: "none" as const };
  const identity = () => ({ ...everybody, bearerOf: (token: string) => options.tokens?.[token] });
  const { gate, services, failures } = assemble(host, { ...options, gate: { identity, ...options.gate } });
  const defects: unknown[] = [];
  const traffic = new Traffic(options.traffic ?? { maxRequests: 100, maxStreams: 100 });
  const front = new Front({
    gate,
    services,
    traffic,
    maxBodyBytes: options.maxBodyBytes ?? 1024 * 1024,
    endpoints: {
      "/health": () => ({ status: 200, headers: { "content-type": "application/json" }, body: "{}" }),
      "/metrics": () => ({ status: 200, headers: { "content-type": "text/plain" }, body: "" }),
    },
    over: new AbortController().signal,
    onDefect: (error) => void defects.push(error),
  });
  const door: Door = options.door ?? { kind: "loopback", address: "127.0.0.1", port: 0 };
  const server = new WebServer(
    door,
    serverLimits(options.maxBodyBytes),
    front.handlerOf(options.takenFor ?? door.kind),
  );
  context.after(() => server[Symbol.asyncDispose]());
  await server.listen({ host: "127.0.0.1", port: 0 });
  const port = server.port ?? 0;
  return { host, port, url: `http://127.0.0.1:${port}`, failures, defects, traffic };
}

function serverLimits(maxBodyBytes = 1024 * 1024) {
  return {
    maxBodyBytes,
    maxHeaderBytes: 16 * 1024,
    maxConnections: 1000,
    headerTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
    idleTimeoutMs: 10_000,
    stallTimeoutMs: 10_000,
  };
}
