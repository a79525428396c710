import type { VmSpecInput } from "../vm/spec.ts";
import type { VsockPortLimitsInput } from "../vm/vsock.ts";
import type { Parser } from "./flags.ts";

type VsockInput = NonNullable<VmSpecInput["vsock"]>;
type VsockPortInput = NonNullable<VsockInput["ports"]>[number];
type RateLimitInput = NonNullable<NonNullable<VmSpecInput["drives"]>[number]["rateLimit"]>;

const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** A number, with a factor of 1024 and its powers: `200`, `10M`. Undefined where it is none. */
export function amount(text: string): number | undefined {
  const [, digits = "", unit = ""] = /^(\d{1,15})([kmg]?)$/i.exec(text) ?? [];
  const value = Number(digits) * (FACTORS[unit.toLowerCase()] ?? Number.NaN);
  return digits !== "" && Number.isSafeInteger(value) ? value : undefined;
}

/** A number as a flag's own value. */
export const amountFlag: Parser<number> = (given) => {
  const value = amount(given);
  return value === undefined ? { problem: "must be a whole number such as 200 or 10M" } : { value };
};

/** `key=amount[,key=amount…]` with certain keys, each at most once. */
function amounts<Key extends string>(text: string, keys: readonly Key[]): Partial<Record<Key, number>> | undefined {
  const found: Partial<Record<Key, number>> = {};
  for (const part of text.split(",")) {
    const [, name, number = ""] = /^([a-z-]+)=(.+)$/.exec(part) ?? [];
    const key = keys.find((each) => each === name);
    const value = amount(number);
    if (key === undefined || value === undefined || found[key] !== undefined) return undefined;
    found[key] = value;
  }
  return found;
}

const VSOCK_KEYS = ["rate", "concurrent", "to-guest", "to-host"] as const;
const VSOCK_FORM = "rate=N (connections a second), concurrent=N, to-guest=BYTES and to-host=BYTES (a second)";

/** `rate=100,concurrent=8,to-guest=10M,to-host=10M`, each of them if it is wanted. */
export const vsockLimits: Parser<VsockPortLimitsInput> = (given) => {
  const found = amounts(given, VSOCK_KEYS);
  if (found === undefined) return { problem: `must be a list of ${VSOCK_FORM}` };
  const { rate, concurrent, "to-guest": toGuest, "to-host": toHost } = found;
  return {
    value: {
      ...(rate === undefined ? {} : { connectionRate: { perSecond: rate } }),
      ...(concurrent === undefined ? {} : { concurrent }),
      ...(toGuest === undefined ? {} : { toGuest: { bytesPerSecond: toGuest } }),
      ...(toHost === undefined ? {} : { toHost: { bytesPerSecond: toHost } }),
    },
  };
};

/** `PORT=TARGET[,limit…]`: `80=tcp:127.0.0.1:8080`, `52=unix:/run/agent.sock,concurrent=4`. */
export const vsockPort: Parser<VsockPortInput> = (given) => {
  const [, port, to, limits] = /^(\d{1,10})=([^=]*?)(?:,([a-z-]+=.*))?$/s.exec(given) ?? [];
  if (port === undefined || to === undefined)
    return { problem: "must be PORT=TARGET, such as 80=tcp:127.0.0.1:8080 or 52=unix:/run/agent.sock" };
  if (limits === undefined) return { value: { port: Number(port), to } };
  const parsed = vsockLimits(limits);
  return "problem" in parsed ? parsed : { value: { port: Number(port), to, limits: parsed.value } };
};

const RATE_KEYS = ["bandwidth", "burst", "ops", "ops-burst"] as const;

/** A rate limit, and of which disk. */
export interface DriveLimitFlag {
  readonly id: string;
  readonly rateLimit: RateLimitInput;
}

/** `ID:bandwidth=10M,burst=2M,ops=500,ops-burst=100`; the root disk is `rootfs`. */
export const driveLimit: Parser<DriveLimitFlag> = (given) => {
  const [, id, list = ""] = /^([A-Za-z0-9_]+):(.*)$/s.exec(given) ?? [];
  const found = id === undefined ? undefined : amounts(list, RATE_KEYS);
  const rateLimit = found === undefined ? undefined : toRateLimit(found);
  if (id !== undefined && rateLimit !== undefined) return { value: { id, rateLimit } };
  return { problem: "must be ID:bandwidth=BYTES,burst=BYTES,ops=N,ops-burst=N, a burst only beside its rate" };
};

/** A rate limit of its flags' or keys' numbers; undefined where there is a burst without its rate. */
export function toRateLimit(
  found: Readonly<Partial<Record<(typeof RATE_KEYS)[number], number | undefined>>>,
): RateLimitInput | undefined {
  const { bandwidth, burst, ops, "ops-burst": opsBurst } = found;
  if ((bandwidth === undefined && burst !== undefined) || (ops === undefined && opsBurst !== undefined))
    return undefined;
  return {
    ...(bandwidth === undefined ? {} : { bandwidth: { bytesPerSecond: bandwidth, ...optional("burstBytes", burst) } }),
    ...(ops === undefined ? {} : { operations: { perSecond: ops, ...optional("burst", opsBurst) } }),
  };
}

function optional<Name extends string>(name: Name, value: number | undefined): { [Key in Name]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]: number });
}
