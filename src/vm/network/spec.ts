import * as z from "zod";
import { type RateLimit, rateLimitSchema } from "../rate-limit.ts";
import { addressProblem, familyOf, type IpAddress, type Ipv4, type Ipv6, toAddress } from "./address.ts";
import { cidrAround, contains, type InterfaceAddress, interfaceAddressProblem, toInterfaceAddress } from "./cidr.ts";
import { type Destination, readDestination } from "./destination.ts";
import { type MacAddress, macProblem, toMac } from "./mac.ts";
import {
  type InterfaceName,
  interfaceNameProblem,
  type NetworkName,
  networkNameProblem,
  toInterfaceName,
} from "./names.ts";
import { isSameHostPort, type PublishedPort, readPublishedPort } from "./published-port.ts";

/**
 * What an interface of a VM leads to.
 *
 * - `isolated`: nothing, but what `allow` and `publish` open.
 * - `egress`: the public internet, and what `allow` and `publish` open.
 * - `bridge`: a bridge of the host's, as a neighbour of what is on it; open is what `egress` has open.
 * - `network`: the VMs that name the same network, and nothing else.
 * - `tap`: a TAP device that the caller has made; its rules are the caller's too.
 * - `cni`: what the plugins of a CNI network make.
 */
export type NetworkMode = "isolated" | "egress" | "bridge" | "network" | "tap" | "cni";

/** One interface of a VM, complete and checked: `eth0` is the first. */
export interface NetworkSpec {
  readonly mode: NetworkMode;
  /** Mode `bridge` only. */
  readonly bridge?: InterfaceName;
  /** Mode `network` only. */
  readonly network?: NetworkName;
  /** Mode `tap` only. */
  readonly tap?: InterfaceName;
  /** Mode `cni` only: name of a network in the CNI configuration. */
  readonly cni?: string;
  /** Mode `bridge` only. Absent: leased from the bridge's own network. */
  readonly address?: InterfaceAddress;
  /** Mode `bridge` only. Absent: the bridge's own address. */
  readonly gateway?: Ipv4;
  /** Mode `bridge` only. Absent: no IPv6 there. */
  readonly address6?: InterfaceAddress;
  readonly gateway6?: Ipv6;
  /** Absent: derived from the VM's id. */
  readonly mac?: MacAddress;
  /** Absent: where the host can carry it. `true`: refused where it can not. */
  readonly ipv6?: boolean;
  readonly allow: readonly Destination[];
  readonly publish: readonly PublishedPort[];
  /** Name servers, told to the guest by the kernel's argument and opened on port 53. */
  readonly dns: readonly IpAddress[];
  /** Most new connections a second, with twice as many at once: what one guest may cost the host's tables. */
  readonly newConnectionsPerSecond: number;
  /** Towards the guest. Absent: as fast as the host can. */
  readonly rxRateLimit?: RateLimit;
  /** From the guest. Absent: as fast as the host can. */
  readonly txRateLimit?: RateLimit;
}

/** Firecracker takes more; each is a device with a thread of its own to be bounded. */
export const INTERFACES_MAX = 8;
const ALLOW_MAX = 64;
const PUBLISH_MAX = 64;
/** What the kernel's `ip=` argument has places for. */
export const DNS_MAX = 2;
const DEFAULT_NEW_CONNECTIONS = 500;

/** A text that a function reads, or says what is wrong with. */
const read = <Value extends object>(reader: (text: string) => Value | string) =>
  z.string().transform((text, context): Value => {
    const value = reader(text);
    if (typeof value !== "string") return value;
    context.addIssue({ code: "custom", message: value });
    return z.NEVER;
  });

/** A text in which nothing is wrong, and what is made of it. */
const checked = <Value>(problemOf: (text: string) => string | undefined, make: (text: string) => Value) =>
  z.string().transform((text, context): Value => {
    const problem = problemOf(text);
    if (problem === undefined) return make(text);
    context.addIssue({ code: "custom", message: problem });
    return z.NEVER;
  });

const address = checked(addressProblem, toAddress);
const addressOfFamily = (family: 4 | 6) =>
  address.refine((value) => familyOf(value) === family, { error: `must be an IPv${family} address` });
const interfaceAddressOfFamily = (family: 4 | 6) =>
  checked(interfaceAddressProblem, toInterfaceAddress).refine((value) => familyOf(value.address) === family, {
    error: `must be an IPv${family} address with its length`,
  });
const interfaceName = checked(interfaceNameProblem, toInterfaceName);

/** What `mode=value` stands for, and the member that is needed in that mode. */
const members: Readonly<Partial<Record<NetworkMode, "bridge" | "network" | "tap" | "cni">>> = {
  bridge: "bridge",
  network: "network",
  tap: "tap",
  cni: "cni",
};

const whole = z.strictObject({
  mode: z.enum(["isolated", "egress", "bridge", "network", "tap", "cni"]),
  bridge: interfaceName.optional(),
  network: checked(networkNameProblem, (text) => text as NetworkName).optional(),
  tap: interfaceName.optional(),
  cni: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
      "must be a CNI network's name: letters, digits, dots, hyphens, underscores",
    )
    .optional(),
  address: interfaceAddressOfFamily(4).optional(),
  gateway: addressOfFamily(4).optional(),
  address6: interfaceAddressOfFamily(6).optional(),
  gateway6: addressOfFamily(6).optional(),
  mac: checked(macProblem, toMac).optional(),
  ipv6: z.boolean().optional(),
  allow: z.array(read(readDestination)).max(ALLOW_MAX).default([]),
  publish: z.array(read(readPublishedPort)).max(PUBLISH_MAX).default([]),
  dns: z.array(address).max(DNS_MAX).default([]),
  newConnectionsPerSecond: z.int().min(1).max(1_000_000).default(DEFAULT_NEW_CONNECTIONS),
  rxRateLimit: rateLimitSchema.optional(),
  txRateLimit: rateLimitSchema.optional(),
});

/** One interface as a caller gives it: `egress`, `bridge=br0`, `network=blue`, `tap=tap0`, or in full. */
export type NetworkInput = string | z.input<typeof whole>;

/** Parses one {@link NetworkSpec}. */
const networkSchema = z
  .custom<NetworkInput>()
  .transform((input) => (typeof input === "string" ? inFull(input) : input))
  .pipe(whole)
  .superRefine((data, context) => {
    for (const { path, message } of relations(data)) context.addIssue({ code: "custom", path: [path], message });
  })
  .transform((data) => dropUndefined(data) as unknown as NetworkSpec);

/** `{ mode: "bridge", bridge: "br0" }` for `bridge=br0`. A value that the mode has no member for is left to be refused. */
function inFull(text: string): object {
  const [, mode = "", value] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  return value === undefined
    ? { mode }
    : { mode, [Object.hasOwn(members, mode) ? String(members[mode as NetworkMode]) : "value"]: value };
}

/** Parses a VM's interfaces: none is a network namespace of its own with nothing in it. */
export const networksSchema = z
  .array(networkSchema)
  .max(INTERFACES_MAX)
  .superRefine((interfaces, context) => {
    const ports = interfaces.flatMap(({ publish }, index) => publish.map((port) => ({ port, index })));
    ports.forEach(({ port, index }, position) => {
      if (!ports.slice(0, position).some((before) => isSameHostPort(before.port, port))) return;
      const message = `port ${port.hostPort} of the host is there twice`;
      context.addIssue({ code: "custom", path: [index, "publish"], message });
    });
    const addresses = interfaces.flatMap(({ address, address6 }) =>
      [address?.address, address6?.address].filter(isGiven),
    );
    if (new Set(addresses).size < addresses.length)
      context.addIssue({ code: "custom", message: "must not have the same address twice" });
    const isMixed = interfaces.some(({ mode }) => mode === "tap") && interfaces.some(({ mode }) => mode !== "tap");
    if (!isMixed) return;
    // Firecracker is in one network namespace, and the caller's devices are not in the one that is made here.
    context.addIssue({ code: "custom", message: "can not be the caller's own (`tap`) and Warder's at once" });
  });

function isGiven<Value>(value: Value | undefined): value is Value {
  return value !== undefined;
}

type Data = z.output<typeof whole>;

interface Problem {
  readonly path: keyof Data;
  readonly message: string;
}

function relations(data: Data): Problem[] {
  return [...modeProblems(data), ...addressProblems(data), ...policyProblems(data)];
}

function modeProblems(data: Data): Problem[] {
  return (["bridge", "network", "tap", "cni"] as const).flatMap((member): Problem[] => {
    if (members[data.mode] === member)
      return data[member] === undefined ? [{ path: member, message: `is needed with the mode ${data.mode}` }] : [];
    return data[member] === undefined ? [] : [{ path: member, message: `has no meaning with the mode ${data.mode}` }];
  });
}

function addressProblems(data: Data): Problem[] {
  const isBridge = data.mode === "bridge";
  const given = (["address", "gateway", "address6", "gateway6"] as const).filter((name) => data[name] !== undefined);
  if (!isBridge) return given.map((path) => ({ path, message: "is only for the mode bridge: others lease one" }));
  return [
    ...gatewayProblems("gateway", data.address, data.gateway),
    ...gatewayProblems("gateway6", data.address6, data.gateway6),
  ];
}

/** A gateway that is no neighbour can not be reached. */
function gatewayProblems(
  path: "gateway" | "gateway6",
  own: InterfaceAddress | undefined,
  gateway: IpAddress | undefined,
): Problem[] {
  if (gateway === undefined) return [];
  if (own === undefined) return [{ path, message: "needs an address beside it" }];
  if (gateway === own.address) return [{ path, message: "must not be the VM's own address" }];
  const isNeighbour = contains(cidrAround(own), gateway);
  return isNeighbour ? [] : [{ path, message: `must be in ${cidrAround(own)}, where the address is` }];
}

/** Rules are Warder's only where the way out is. */
function policyProblems(data: Data): Problem[] {
  const isOthers = data.mode === "tap" || data.mode === "cni";
  const given = [
    ...(data.allow.length > 0 ? (["allow"] as const) : []),
    ...(data.publish.length > 0 ? (["publish"] as const) : []),
  ];
  const message = isOthers
    ? `has no meaning with the mode ${data.mode}, whose rules are its maker's`
    : "has no meaning in a network of VMs alone";
  if (isOthers || data.mode === "network") return given.map((path) => ({ path, message }));
  return data.mode === "bridge" ? bridgeProblems(data) : [];
}

/** On a bridge a VM is a neighbour with an address of its own: the host stands neither before nor behind it. */
function bridgeProblems({ allow, publish }: Data): Problem[] {
  const toHost = allow.some(({ to }) => to === "thisHost");
  const isTranslated = publish.some(
    ({ hostAddress, hostPort = 0, guestPort }) => hostAddress !== undefined || (hostPort > 0 && hostPort !== guestPort),
  );
  return [
    ...(toHost
      ? [{ path: "allow", message: "must name the host by its address: on a bridge it is a neighbour" } as const]
      : []),
    ...(isTranslated
      ? [
          {
            path: "publish",
            message: "must have the same port twice and no address: on a bridge the VM answers itself",
          } as const,
        ]
      : []),
  ];
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
