import { type ContextValues, createContextValues } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Endpoints, HttpAnswer } from "../observability/endpoints.ts";
import { WarderError } from "../vm/error.ts";
import { arrivalKey, arrivalOf } from "./gate/arrival.ts";
import { type GateDeps, openRequestKey } from "./gate/gate.ts";
import { permissionOf } from "./gate/permissions.ts";
import type { Traffic } from "./gate/traffic.ts";
import { registerServices, routerOptions, type ServiceDeps } from "./routes.ts";
import { browserProblem } from "./server/browser-guard.ts";
import type { Door } from "./server/door.ts";
import { refuse, type WebHandler, type WebRequest, type WebResponse } from "./server/exchange.ts";
import { takeFormAsJson } from "./server/form-as-json.ts";

/** What stands behind every door. */
export interface FrontDeps {
  readonly gate: GateDeps;
  readonly services: ServiceDeps;
  readonly traffic: Traffic;
  readonly maxBodyBytes: number;
  /** Answers to `GET`, for anybody who reaches the door. */
  readonly endpoints: Endpoints;
  /** Fires when the daemon can wait no longer for what is under way. */
  readonly over: AbortSignal;
  /** Told of what no caller is: a defect outside of any call. */
  readonly onDefect: (error: unknown) => void;
}

/** Serves what comes through doors: calls of the services, and the endpoints of supervisors. */
export class Front {
  readonly #deps: FrontDeps;
  readonly #values = new WeakMap<WebRequest, ContextValues>();
  readonly #serve: WebHandler;

  constructor(deps: FrontDeps) {
    this.#deps = deps;
    this.#serve = connectNodeAdapter({
      ...routerOptions(deps.gate, deps),
      routes: (router) => void registerServices(router, deps.services),
      contextValues: (request) => this.#values.get(request) ?? createContextValues(),
      shutdownSignal: deps.over,
      fallback: (_request, response) =>
        refuse(response as WebResponse, 404, "not_found", "there is nothing at this path"),
    }) as WebHandler;
  }

  /** What a door does with its requests. */
  handlerOf(door: Door["kind"]): WebHandler {
    return (request, response) => {
      this.#handle(request, response, door).catch((error: unknown) => {
        this.#deps.onDefect(error);
        refuse(response, 500, "internal", "something went wrong inside Warder");
      });
    };
  }

  async #handle(request: WebRequest, response: WebResponse, door: Door["kind"]): Promise<void> {
    const problem = browserProblem(request.headers, door) ?? authorityProblem(request);
    if (problem !== undefined) return refuse(response, 403, "permission_denied", problem);
    const path = request.url?.split("?", 1)[0] ?? "";
    const permission = permissionOf(path);
    if (permission === undefined) return answer(endpointsOf(this.#deps.endpoints, door), request, response);
    const isGone = watchGone(response);
    await takeFormAsJson(request);
    // Who went away meanwhile has no answer that could end, which is what a call is left by.
    if (isGone()) return;
    this.#enter(request, response, door, permission.isLong === true ? "streams" : "requests");
    this.#serve(request, response);
  }

  /** Takes note of a call until it is over, whatever becomes of it. */
  #enter(request: WebRequest, response: WebResponse, door: Door["kind"], kind: "requests" | "streams"): void {
    const leave = this.#deps.traffic.enter(kind);
    const arrival = { ...arrivalOf(request, door), ...(leave === undefined ? { isTooMany: kind } : {}) };
    const values = createContextValues().set(arrivalKey, arrival);
    this.#values.set(request, values);
    response.once("close", () => {
      leave?.();
      // What came through the gate and to no service could not be read.
      values.get(openRequestKey)?.end({ error: unreadable(), code: "invalid_argument" });
    });
  }
}

/** Whether the connection of an answer has gone since. */
function watchGone(response: WebResponse): () => boolean {
  let isGone = false;
  response.once("close", () => {
    isGone = true;
  });
  return () => isGone;
}

/** Metrics name the VMs of every tenant: who comes over the network does not get them without being known. */
function endpointsOf(endpoints: Endpoints, door: Door["kind"]): Endpoints {
  if (door !== "tls") return endpoints;
  const { "/metrics": _metrics, ...others } = endpoints;
  return others;
}

/** Serves the endpoints alone, to anybody: for a port of its own. */
export function endpointHandler(endpoints: Endpoints): WebHandler {
  return (request, response) => {
    answer(endpoints, request, response).catch(() => refuse(response, 500, "internal", "something went wrong"));
  };
}

async function answer(endpoints: Endpoints, request: WebRequest, response: WebResponse): Promise<void> {
  const endpoint = endpoints[request.url?.split("?", 1)[0] ?? ""];
  if (endpoint === undefined) return refuse(response, 404, "not_found", "there is nothing at this path");
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return refuse(response, 405, "unimplemented", "this is only to be read");
  }
  send(response, await endpoint(), request.method === "HEAD");
}

/** What makes a URL that is none of a request's path and host. */
function authorityProblem(request: WebRequest): string | undefined {
  const authority = request.headers[":authority"] ?? request.headers.host;
  if (authority === undefined) return "the request does not say which host it is for";
  return URL.canParse(`http://${authority}/`) ? undefined : "the host that the request is for can not be read";
}

function send(response: WebResponse, { status, headers, body }: HttpAnswer, isHead: boolean): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader("content-length", Buffer.byteLength(body));
  if (isHead) response.end();
  else response.end(body);
}

function unreadable(): WarderError {
  return new WarderError("invalid-argument", {
    doing: "reading the request",
    why: "its body could not be read, or its caller went away meanwhile",
  });
}
