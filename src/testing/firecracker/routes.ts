/** Which request means what. Mistakes found here never reach the VM. */
import type { Release } from "../common/release.ts";
import type { Bodies, Body } from "./bodies.ts";
import type { HttpRequest } from "./http.ts";
import { JsonError } from "./json-reader.ts";
import { readJson, type Schema } from "./schema.ts";
import type { Vmm } from "./vmm.ts";

/** A request that was refused before anything was done, as an answer and as a log line. */
export class RouteError extends Error {
  override readonly name = "RouteError";
  readonly debug: string;

  constructor(message: string, debug: string) {
    super(message);
    this.debug = debug;
  }
}

/** What a request asks for. */
export interface Action {
  /** Resolves with what a 200 carries; nothing is a 204. */
  run(vmm: Vmm): unknown;
  readonly deprecated?: boolean;
  /** Named in a log line of its own, with its duration. */
  readonly timed?: string;
}

/** Everything about a request that a route needs. */
interface Call {
  readonly path: string;
  /** The parts of the path behind the first. */
  readonly rest: readonly string[];
  /** Reads the body. */
  read<K extends keyof Bodies>(kind: K): Body<K>;
  readonly release: Release;
}

type Route = (call: Call) => Action | undefined;

/** Does something that is only possible before the start. */
function beforeStart(run: Action["run"]): Action["run"] {
  return (vmm) => {
    vmm.requireNotStarted();
    return run(vmm);
  };
}

/** A thing that is set before the start. */
function setting<K extends keyof Bodies>(kind: K, set: (vmm: Vmm, body: Body<K>) => unknown): Route {
  return (call) => {
    const body = call.read(kind);
    return { run: beforeStart((vmm) => set(vmm, body)) };
  };
}

const GET: Readonly<Record<string, Route>> = {
  balloon: ({ rest: [what] }) => {
    if (what === undefined) return { run: (vmm) => vmm.balloon() };
    if (what === "statistics") return { run: (vmm) => vmm.balloonStatistics() };
    throw unrecognized("GET", what);
  },
  "machine-config": () => ({ run: (vmm) => vmm.resources.describeMachine() }),
  mmds: () => ({ run: (vmm) => new RawJson(vmm.resources.mmds.text) }),
  version: ({ release }) => ({ run: () => ({ firecracker_version: release.version }) }),
  vm: ({ rest: [what] }) => (what === "config" ? { run: (vmm) => vmm.describe() } : undefined),
};

const PUT: Readonly<Record<string, Route>> = {
  actions: (call) => {
    const { action_type: action } = call.read("action");
    if (action === "InstanceStart") return { run: (vmm) => vmm.start() };
    if (action === "FlushMetrics") return { run: (vmm) => vmm.flushMetrics() };
    return { run: (vmm) => vmm.pressCtrlAltDel() };
  },
  balloon: setting("balloon", (vmm, body) => vmm.resources.setBalloon(body)),
  "boot-source": setting("bootSource", (vmm, body) => vmm.resources.setBootSource(body)),
  "cpu-config": setting("cpu", (vmm) => {
    vmm.resources.hasBootResources = true;
  }),
  drives: (call) => {
    const id = resourceId(call.rest[0]);
    const body = call.read("drive");
    if (body.drive_id !== id) throw generic("The id from the path does not match the id from the body!");
    return { run: beforeStart((vmm) => vmm.resources.setDrive(body)) };
  },
  entropy: setting("entropy", (vmm, body) => vmm.resources.setEntropy(body)),
  hotplug: (call) => {
    if (!call.release.v1_14 || call.rest[0] !== "memory") return undefined;
    return setting("memoryHotplug", () => undefined)(call);
  },
  logger: setting("logger", (vmm, body) => vmm.resources.setLogger(body)),
  "machine-config": (call) => {
    const body = call.read("machine");
    const run = beforeStart((vmm) => vmm.resources.setMachine(body));
    return { run, deprecated: body.cpu_template !== null };
  },
  metrics: setting("metrics", (vmm, body) => vmm.resources.setMetrics(body.metrics_path)),
  mmds: (call) => {
    const [what] = call.rest;
    if (what === undefined) {
      const document = call.read("mmds");
      return { run: (vmm) => vmm.resources.mmds.put(document) };
    }
    if (what !== "config") throw unrecognized("PUT", what);
    const body = call.read("mmdsConfig");
    const run = beforeStart((vmm) => vmm.resources.setMmdsConfig(body));
    return { run, deprecated: body.version === "V1" };
  },
  "network-interfaces": (call) => {
    const id = resourceId(call.rest[0]);
    const body = call.read("networkInterface");
    checkInterfaceId(id, body.iface_id);
    return { run: beforeStart((vmm) => vmm.resources.setInterface(body)) };
  },
  pmem: (call) => {
    if (!call.release.v1_14) return undefined;
    resourceId(call.rest[0]);
    return setting("pmem", () => undefined)(call);
  },
  serial: (call) => (call.release.v1_14 ? setting("serial", () => undefined)(call) : undefined),
  snapshot: (call) => {
    if (call.rest[0] === undefined) throw generic("Missing snapshot operation type.");
    if (call.rest[0] === "create") return snapshotCreate(call);
    if (call.rest[0] === "load") return snapshotLoad(call);
    throw invalidPath(call.path, "Put");
  },
  vsock: (call) => {
    const body = call.read("vsock");
    const run = beforeStart((vmm) => vmm.resources.setVsock(body));
    return { run, deprecated: body.vsock_id !== null };
  },
};

const PATCH: Readonly<Record<string, Route>> = {
  balloon: (call) => {
    const [what] = call.rest;
    if (what === undefined) {
      call.read("balloonUpdate");
      return { run: (vmm) => vmm.updateBalloon() };
    }
    if (what !== "statistics") throw unrecognized("PATCH", what);
    const body = call.read("balloonStatistics");
    return { run: (vmm) => vmm.updateBalloonStatistics(body) };
  },
  drives: (call) => {
    const id = resourceId(call.rest[0]);
    const body = call.read("driveUpdate");
    if (body.drive_id !== id) throw generic("The id from the path does not match the id from the body!");
    return { run: (vmm) => vmm.updateDrive(body) };
  },
  hotplug: (call) => {
    if (!call.release.v1_14 || call.rest[0] !== "memory") return undefined;
    call.read("memoryHotplugUpdate");
    return { run: (vmm) => void vmm.requireStarted() };
  },
  "machine-config": (call) => {
    const body = call.read("machineUpdate");
    if (Object.values(body).every((value) => value === null)) throw generic("Empty PATCH request.");
    const run = beforeStart((vmm) => vmm.resources.updateMachine(body));
    return { run, deprecated: body.cpu_template !== null };
  },
  mmds: (call) => {
    const document = call.read("mmds");
    return { run: (vmm) => vmm.resources.mmds.patch(document) };
  },
  "network-interfaces": (call) => {
    const id = resourceId(call.rest[0]);
    const body = call.read("networkInterfaceUpdate");
    checkInterfaceId(id, body.iface_id);
    return { run: (vmm) => vmm.updateInterface(body) };
  },
  vm: (call) => {
    const { state } = call.read("vmState");
    return { run: (vmm) => vmm.setState(state), timed: state === "Paused" ? "pause vm" : "resume vm" };
  },
};

/** From 1.16: unplugs a device, after the start. */
const unplug: Route = (call) => {
  resourceId(call.rest[0]);
  return { run: (vmm) => void vmm.requireStarted() };
};

const DELETE: Readonly<Record<string, Route>> = { drives: unplug, "network-interfaces": unplug, pmem: unplug };

const ROUTES = { Get: GET, Put: PUT, Patch: PATCH, Delete: DELETE } as const;

/** JSON that is sent as it is. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Finds out what a request asks for. */
export function parseRequest(request: HttpRequest, bodies: Bodies, release: Release, instance: () => unknown): Action {
  const path = absolutePath(request.uri);
  const [first = "", ...rest] = segments(path);
  checkBodyPresence(request);
  if (request.method === "Get" && first === "") return { run: instance };
  const read = <K extends keyof Bodies>(kind: K): Body<K> =>
    readJson(request.body ?? Buffer.alloc(0), bodies[kind] as Schema<Body<K>>);
  const route = ROUTES[request.method][first];
  const action = route?.({ path, rest, read, release });
  if (action === undefined) throw invalidPath(first, request.method);
  return action;
}

/** The path of `/x`, and of `http://host/x`. */
export function absolutePath(uri: string): string {
  if (!uri.startsWith("http://")) return uri.startsWith("/") ? uri : "";
  const slash = uri.indexOf("/", "http://".length);
  return slash === -1 ? "" : uri.slice(slash);
}

function segments(path: string): string[] {
  const parts = path.slice(1).split("/");
  return parts.at(-1) === "" ? parts.slice(0, -1) : parts;
}

function checkBodyPresence({ method, body }: HttpRequest): void {
  if (method === "Get" && body !== undefined) throw generic("GET request cannot have a body.");
  if (method === "Put" && body === undefined) throw generic("Empty PUT request.");
  if (method === "Patch" && body === undefined) throw generic("Empty PATCH request.");
}

function resourceId(id: string | undefined): string {
  if (id === undefined || id === "") throw new RouteError("The ID cannot be empty.", "EmptyID");
  if (/^[\p{Alphabetic}\p{N}_]+$/u.test(id)) return id;
  const rule = "API Resource IDs can only contain alphanumeric characters and underscores.";
  throw new RouteError(rule, "InvalidID");
}

function checkInterfaceId(inPath: string, inBody: string): void {
  if (inPath === inBody) return;
  throw generic(`The id from the path [${inPath}] does not match the id from the body [${inBody}]!`);
}

function snapshotCreate(call: Call): Action {
  const body = call.read("snapshotCreate");
  const kind = body.snapshot_type === "Diff" ? "diff" : "full";
  return { run: (vmm) => vmm.createSnapshot(body), timed: `create ${kind} snapshot` };
}

function snapshotLoad(call: Call): Action {
  const body = call.read("snapshotLoad");
  if (body.mem_backend === null && body.mem_file_path === null) {
    throw new JsonError("missing field: either `mem_backend` or `mem_file_path` is required", 0, 0);
  }
  if (body.mem_backend !== null && body.mem_file_path !== null) {
    const rule = "either `mem_backend` or `mem_file_path` exclusively is required";
    throw new JsonError(`too many fields: ${rule}`, 0, 0);
  }
  const deprecated = body.mem_file_path !== null || (call.release.v1_13 && body.enable_diff_snapshots);
  return { run: (vmm) => vmm.loadSnapshot(body), deprecated, timed: "load snapshot" };
}

function generic(message: string): RouteError {
  return new RouteError(message, `Generic(BadRequest, ${JSON.stringify(message)})`);
}

function unrecognized(method: string, what: string): RouteError {
  return generic(`Unrecognized ${method} request path \`${what}\`.`);
}

function invalidPath(path: string, method: HttpRequest["method"]): RouteError {
  const message = `Invalid request method and/or path: ${method.toUpperCase()} ${path}.`;
  return new RouteError(message, `InvalidPathMethod(${JSON.stringify(path)}, ${method})`);
}
