import { type ContextValues, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { type Caller, mayDo } from "../../access/caller.ts";
import type { RateLimiter } from "../../access/rate.ts";
import type { BeginRequest, OpenRequest } from "../../observability/requests.ts";
import type { Tenant } from "../../vm/belongings.ts";
import { WarderError } from "../../vm/error.ts";
import { callKey } from "../call.ts";
import type { HostPort } from "../host-port.ts";
import { type Arrival, arrivalKey } from "./arrival.ts";
import { type IdentityDeps, identify } from "./identify.ts";
import { type Permission, permissionOf, procedureOf } from "./permissions.ts";

/** What the gate looks at. */
export interface GateDeps {
  readonly identity: () => IdentityDeps;
  readonly hostFor: (caller: Caller) => HostPort;
  readonly beginRequest: BeginRequest;
  /** Of each caller, once it is known. */
  readonly callerRate: RateLimiter;
  /** Of what could not be told from guessing, by the address that it came from. */
  readonly strangerRate: RateLimiter;
  readonly isDraining: () => boolean;
  /** Fires when a call of this caller must end; `isLong`: only where the caller may not go on. `over`: it has ended. */
  readonly cutOf: (caller: Caller, isLong: boolean, over: AbortSignal) => AbortSignal;
}

/** The request as it is observed; there from the gate on. */
export const openRequestKey = createContextKey<OpenRequest | undefined>(undefined, { description: "the open request" });

/**
 * Looks at a call before anything of its body is read: whether there is room for it, who makes it and whether that caller
 * may. Lets it in with the host as the caller may see it.
 *
 * @throws {@link WarderError} `draining`, `too-many-requests`, `unauthenticated`, `forbidden`.
 */
export function enter(context: HandlerContext, deps: GateDeps): void {
  const { values, service, method, requestHeader } = context;
  const open = deps.beginRequest({ service: service.typeName, method: method.name, headers: requestHeader });
  values.set(openRequestKey, open);
  for (const [name, value] of Object.entries(open.answerHeaders)) context.responseHeader.set(name, value);
  const permission = permissionOf(procedureOf(method));
  if (permission === undefined) throw new TypeError(`nobody may call ${procedureOf(method)}`);
  const arrival = arrivalIn(values);
  refuseWithoutRoom(arrival);
  // Whoever asks for the daemon's health is told that it drains, by an answer.
  if (permission.role !== "anybody" && deps.isDraining()) throw draining();
  const caller = permission.role === "anybody" ? nobody : callerOf(arrival, requestHeader, deps);
  refuseWithoutRight(caller, permission, procedureOf(method));
  const cut = deps.cutOf(caller, permission.isLong === true, context.signal);
  values.set(callKey, { caller, host: deps.hostFor(caller), cut });
}

/** Of whom nothing is asked, and to whom nothing of a VM is told. */
const nobody: Caller = { name: "anybody", key: "anybody", role: "read", tenant: "nobody" as Tenant };

function arrivalIn(values: ContextValues): Arrival {
  const arrival = values.get(arrivalKey);
  if (arrival === undefined) throw new TypeError("a call came without a door");
  return arrival;
}

function refuseWithoutRoom({ isTooMany }: Arrival): void {
  if (isTooMany !== undefined) throw tooMany(`as many ${isTooMany} as there may be are under way`, "Try again later");
}

function draining(): WarderError {
  return new WarderError("draining", {
    doing: "taking the request",
    why: "the daemon is about to stop",
    cure: "Try again in a moment: VMs go on, and the next daemon takes them over",
  });
}

/** Whoever can not be told from somebody who guesses tokens is slowed down by where it comes from. */
function callerOf(arrival: Arrival, headers: Headers, deps: GateDeps): Caller {
  const origin = arrival.connection?.remoteAddress ?? arrival.door;
  const wait = deps.strangerRate.waitOf(origin);
  if (wait !== undefined) throw tooMany("too many requests from there did not say who sends them", retryIn(wait));
  let caller: Caller;
  try {
    caller = identify(arrival, headers, deps.identity());
  } catch (error) {
    deps.strangerRate.take(origin);
    throw error;
  }
  const callerWait = deps.callerRate.take(caller.key);
  if (callerWait !== undefined) throw tooMany(`${caller.name} asks too often`, retryIn(callerWait));
  return caller;
}

function refuseWithoutRight(caller: Caller, { role, isForHost }: Permission, procedure: string): void {
  const doing = `${caller.name} calling ${procedure}`;
  if (role !== "anybody" && !mayDo(caller.role, role)) {
    throw new WarderError("forbidden", { doing, why: `it has the role ${caller.role}, and this needs ${role}` });
  }
  if (isForHost === true && caller.tenant !== undefined) {
    const why = `it is of the tenant ${caller.tenant}, and this is about the whole host`;
    throw new WarderError("forbidden", { doing, why });
  }
}

function tooMany(why: string, cure: string): WarderError {
  return new WarderError("too-many-requests", { doing: "taking the request", why, cure });
}

function retryIn(milliseconds: number): string {
  return `Try again in ${milliseconds} ms`;
}
