import { createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { VmService as MetaldService } from "../../../gen/vmprovisioner/v1/vm_pb.js";
import type { Caller } from "../../../src/access/caller.ts";
import { RateLimiter } from "../../../src/access/rate.ts";
import { TokenStore } from "../../../src/access/token-store.ts";
import type { CollectedLeftover } from "../../../src/lifecycle/collect.ts";
import type { SharedNetwork } from "../../../src/lifecycle/network-admin.ts";
import { Serving } from "../../../src/observability/health/serving.ts";
import type { OpenRequest, RequestFailure } from "../../../src/observability/requests.ts";
import { Admission, type Totals } from "../../../src/rpc/admission/admission.ts";
import { type Arrival, arrivalKey } from "../../../src/rpc/gate/arrival.ts";
import type { GateDeps } from "../../../src/rpc/gate/gate.ts";
import { services } from "../../../src/rpc/gate/permissions.ts";
import type { HostPort } from "../../../src/rpc/host-port.ts";
import { registerServices, routerOptions, type ServiceDeps } from "../../../src/rpc/routes.ts";
import { HostScope } from "../../../src/rpc/scope/scope.ts";
import type { MachinePort } from "../../../src/rpc/warder/host-service.ts";
import { WarderError } from "../../../src/vm/error.ts";
import { toVmId } from "../../../src/vm/id.ts";

/** What a test may want to be otherwise. */
export interface InMemoryOptions {
  readonly arrival?: Arrival;
  readonly tokens?: Readonly<Record<string, Caller>>;
  readonly totals?: Totals;
  readonly quotas?: Readonly<Record<string, Totals>>;
  readonly assetDirectories?: readonly string[];
  readonly gate?: Partial<GateDeps>;
}

/** What stands behind the doors of a daemon on a host, and what the operator is told of its failures. */
export function assemble(host: HostPort, options: InMemoryOptions = {}) {
  const failures: RequestFailure[] = [];
  const admission = new Admission({
    records: () => host.records(),
    totals: () => options.totals ?? {},
    quotaOf: (tenant) => options.quotas?.[tenant] ?? {},
    demand: () => ({ overheadMib: 0, fileBytes: () => 0 }),
  });
  const scope = {
    host,
    admission,
    assets: { directories: options.assetDirectories ?? [], resolve: (path: string) => path },
    vmDefaults: () => ({}),
    nowNanoseconds: () => BigInt(Date.now()) * 1_000_000n,
  };
  const never = new AbortController().signal;
  const gate: GateDeps = {
    identity: () => ({
      bearerOf: (token) => options.tokens?.[token],
      userOf: () => undefined,
      isTrustedUser: () => false,
      anonymousRole: "none",
    }),
    hostFor: (caller) => new HostScope(caller, scope),
    beginRequest: () => openRequest(failures),
    callerRate: new RateLimiter({ perSecond: 1e9, burst: 1e9 }, () => performance.now()),
    strangerRate: new RateLimiter({ perSecond: 1e9, burst: 1e9 }, () => performance.now()),
    isDraining: () => false,
    cutOf: () => never,
    ...options.gate,
  };
  const deps: ServiceDeps = {
    machine: fakeMachine(admission),
    tokens: TokenStore.open(":memory:", () => Date.now()),
    serving: new Serving(services.map(({ typeName }) => typeName)),
  };
  return { gate, services: deps, failures, admission };
}

/** The services on a host, without a socket in between. */
export function serveInMemory(host: HostPort, options: InMemoryOptions = {}) {
  const { gate, services: deps, failures, admission } = assemble(host, options);
  const router = routerOptions(gate, { maxBodyBytes: 1024 * 1024 });
  const transport = createRouterTransport((routes) => registerServices(routes, deps), {
    router: {
      ...router,
      requestGate: (context) => {
        context.values.set(arrivalKey, options.arrival ?? { door: "socket" });
        return router.requestGate?.(context);
      },
    },
  });
  return { transport, failures, admission };
}

/** A client of metald's surface. */
export function metaldClient(transport: Transport) {
  return createClient(MetaldService, transport);
}

const fine = { code: "root", title: "Root", status: "ok", found: "uid 0" } as const;

const left: readonly CollectedLeftover[] = [
  { kind: "jail", name: "/j/a", own: false, why: "it is unknown", usedBy: "pid 1", action: "in use" },
  { kind: "record", name: "a", own: true, why: "it ended", action: "would be settled" },
];

/** A machine on which nothing is wrong. */
function fakeMachine(admission: Admission): MachinePort {
  return {
    version: "0.0.0",
    hostname: "here",
    stateDir: "/var/lib/warder",
    chrootBase: "/srv/jailer",
    startedAt: 1_700_000_000_000,
    budgets: (tenant) => admission.budgets(tenant),
    examine: async () => ({ canJail: true, findings: [fine], durationMs: 1 }),
    collect: async ({ isDryRun, isForeign }) => ({
      leftovers: isDryRun && isForeign === true ? left : [],
      failures: [],
    }),
    networks: fakeNetworks(),
  };
}

/** One network, `blue`, which can be removed. */
function fakeNetworks(): MachinePort["networks"] {
  const blue: SharedNetwork = {
    name: "blue",
    bridge: "wbr-1",
    ipv4: "10.1.0.0/24",
    ipv6: null,
    vms: [{ id: toVmId("vm-1"), addresses: ["10.1.0.2"] }],
  };
  const networks = new Map([[blue.name, blue]]);
  const get = (name: string) => {
    const found = networks.get(name);
    if (found !== undefined) return found;
    throw new WarderError("network-not-found", { doing: `looking up the network ${name}`, why: "there is none" });
  };
  return { list: () => [...networks.values()], get, remove: async (name) => void networks.delete(get(name).name) };
}

function openRequest(failures: RequestFailure[]): OpenRequest {
  let isOver = false;
  return {
    id: "req-1",
    answerHeaders: { "x-request-id": "req-1" },
    within: (work) => work(),
    end(failure) {
      if (!isOver && failure !== undefined) failures.push(failure);
      isOver = true;
    },
  };
}
