import * as z from "zod";
import type { Bandwidth, Operations } from "./rate-limit.ts";
import { parseVsockTarget, type VsockTarget } from "./vsock-target.ts";

/** A token bucket's rate and depth for each thing that vsock connections use up. An absent member limits nothing. */
export interface VsockPortLimits {
  /** New connections. Those that come faster wait for their turn. */
  readonly connectionRate?: Operations;
  /** Connections that are open at once, or wait for their turn. */
  readonly concurrent?: number;
  /** Bytes from host to guest. */
  readonly toGuest?: Bandwidth;
  /** Bytes from guest to host. */
  readonly toHost?: Bandwidth;
}

/** Limits of a whole VM, both directions together: none is ever absent. */
export type VsockLimits = Required<VsockPortLimits>;

/** A port of the host's (CID 2) that is open to the guest. */
export interface VsockPort {
  readonly port: number;
  readonly to: VsockTarget;
  /** Beside those of the VM. */
  readonly limits: VsockPortLimits;
}

/** A port of the guest's that the host may connect to within limits of its own. */
export interface VsockGuestPort {
  readonly port: number;
  /** Beside those of the VM. */
  readonly limits: VsockPortLimits;
}

/** The vsock device of a VM, and what may pass through it. */
export interface VsockSpec {
  /** Ports that are open to the guest. All others are closed. */
  readonly ports: readonly VsockPort[];
  /** Ports of the guest's with limits of their own. */
  readonly guestPorts: readonly VsockGuestPort[];
  readonly limits: VsockLimits;
}

/** 4294967295 stands for any port (`VMADDR_PORT_ANY` in vsock(7)). */
export const VSOCK_PORT_MAXIMUM = 0xffff_fffe;

/** Firecracker's own: `MAX_CONNECTIONS` in its vsock's `unix/mod.rs`. */
const CONCURRENT_MAXIMUM = 1023;

/**
 * What comes in 200 ms: little enough that ten seconds hold the rate within a fiftieth, and enough for a manager that is
 * not given the processor for a tenth of a second.
 */
const DEFAULT_BURST_MS = 200;

const MIB = 1024 * 1024;

/**
 * What a VM may where nothing is said: enough for any control channel and for files, too little for one VM to take the
 * manager's time from the others.
 */
export const defaultVsockLimits: VsockLimits = Object.freeze({
  connectionRate: Object.freeze({ perSecond: 100, burst: defaultBurst(100) }),
  concurrent: 128,
  toGuest: Object.freeze({ bytesPerSecond: 64 * MIB, burstBytes: defaultBurst(64 * MIB) }),
  toHost: Object.freeze({ bytesPerSecond: 64 * MIB, burstBytes: defaultBurst(64 * MIB) }),
});

/** Says what is wrong with a vsock port, or `undefined`. */
export function vsockPortProblem(port: number): string | undefined {
  if (Number.isInteger(port) && port >= 0 && port <= VSOCK_PORT_MAXIMUM) return undefined;
  return `must be a whole number from 0 to ${VSOCK_PORT_MAXIMUM}`;
}

const count = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

const bandwidth = z.strictObject({ bytesPerSecond: count, burstBytes: count.optional() }).transform(
  ({ bytesPerSecond, burstBytes }): Bandwidth => ({
    bytesPerSecond,
    burstBytes: burstBytes ?? defaultBurst(bytesPerSecond),
  }),
);

const connectionRate = z
  .strictObject({ perSecond: count, burst: count.optional() })
  .transform(({ perSecond, burst }): Operations => ({ perSecond, burst: burst ?? defaultBurst(perSecond) }));

const limits = z.strictObject({
  connectionRate: connectionRate.optional(),
  concurrent: z.int().min(1).max(CONCURRENT_MAXIMUM).optional(),
  toGuest: bandwidth.optional(),
  toHost: bandwidth.optional(),
});

const port = z.number().superRefine((value, context) => {
  const problem = vsockPortProblem(value);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

const target = z.string().transform((text, context): VsockTarget => {
  const parsed = parseVsockTarget(text);
  if (typeof parsed !== "string") return parsed;
  context.addIssue({ code: "custom", message: parsed });
  return z.NEVER;
});

/** Most ports of each kind: each open one is a socket of the manager's. */
const PORTS_MAXIMUM = 64;

const ports = <Item extends z.ZodType<{ readonly port: number }>>(item: Item) =>
  z.array(item).max(PORTS_MAXIMUM).default([]).superRefine(refuseTwice);

/** Parses a {@link VsockSpec} and completes it. */
export const vsockSchema = z
  .strictObject({
    ports: ports(z.strictObject({ port, to: target, limits: limits.default({}) })),
    guestPorts: ports(z.strictObject({ port, limits })),
    limits: limits.default({}),
  })
  .transform((spec) => ({ ...spec, limits: { ...defaultVsockLimits, ...dropUndefined(spec.limits) } }) as VsockSpec);

/** Limits of a port that is opened while the VM runs. */
export const vsockPortLimitsSchema = limits.transform((given) => dropUndefined(given) as VsockPortLimits);

/** {@link VsockPortLimits} as a caller gives them. */
export type VsockPortLimitsInput = z.input<typeof limits>;

function defaultBurst(perSecond: number): number {
  return Math.max(1, Math.ceil((perSecond / 1000) * DEFAULT_BURST_MS));
}

function refuseTwice(items: readonly { readonly port: number }[], context: z.RefinementCtx): void {
  items.forEach(({ port: number }, index) => {
    if (items.findIndex((each) => each.port === number) === index) return;
    context.addIssue({ code: "custom", path: [index, "port"], message: `${number} is there twice` });
  });
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
