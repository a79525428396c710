import fc from "fast-check";
import { allocateNetwork } from "../../src/network/allocate.ts";
import type { Leases } from "../../src/network/leases.ts";
import type { PlannedInterface } from "../../src/network/planned-interface.ts";
import type { AddressPools } from "../../src/network/pools.ts";
import { toVmId, type VmId } from "../../src/vm/id.ts";
import type { Cidr } from "../../src/vm/network/cidr.ts";
import type { Destination } from "../../src/vm/network/destination.ts";
import { type NetworkInput, type NetworkSpec, networksSchema } from "../../src/vm/network/spec.ts";
import type { Opening, VmNetwork } from "../../src/vm/network/vm-network.ts";

/** The pools of a host where nothing is configured. */
export const testPools: AddressPools = {
  ipv4: "10.100.0.0/16" as Cidr,
  ipv6: "fd57:6172:6465::/64" as Cidr,
};

/** Leases in memory: what the store does for real. */
export class MemoryLeases implements Leases {
  readonly taken = new Map<string, VmId>();
  readonly #id: VmId;

  constructor(id: VmId, taken: Map<string, VmId> = new Map()) {
    this.#id = id;
    this.taken = taken;
  }

  lease(kind: string, { first, count }: { first: number; count: number }): number | undefined {
    for (let value = first; value < first + count; value++) if (this.claim(kind, value)) return value;
    return undefined;
  }

  claim(kind: string, value: number | string): boolean {
    if (this.taken.has(`${kind} ${value}`)) return false;
    this.taken.set(`${kind} ${value}`, this.#id);
    return true;
  }

  /** The same leases for another VM. */
  of(id: VmId): MemoryLeases {
    return new MemoryLeases(id, this.taken);
  }
}

/** An interface as a start would find it: nothing is looked up, a bridge has 192.168.7.1/24, the first network is 1. */
export function plan(spec: NetworkSpec, hasIpv6 = true): PlannedInterface {
  return {
    spec,
    openings: spec.allow.flatMap(toOpening),
    hasIpv6,
    ...(spec.cni === undefined ? {} : { cni: { cniVersion: "1.0.0", name: spec.cni, plugins: [{ type: "bridge" }] } }),
    ...(spec.mode === "network" ? { networkNumber: 1 } : {}),
    ...(spec.mode === "bridge"
      ? {
          bridge: {
            addresses: [{ address: "192.168.7.1" as never, prefixLength: 24 }],
            hostAddresses: ["192.168.7.1" as never],
          },
        }
      : {}),
  };
}

/** The network of a VM with these interfaces. */
export function networkOf(
  inputs: readonly NetworkInput[],
  options: { id?: string; leases?: Leases; ipv6?: boolean } = {},
): VmNetwork {
  const id = toVmId(options.id ?? "vm-1");
  return allocateNetwork({
    id,
    pools: testPools,
    hostPorts: { first: 20_000, count: 100 },
    leases: options.leases ?? new MemoryLeases(id),
    interfaces: networksSchema.parse(inputs).map((spec) => plan(spec, options.ipv6 ?? true)),
  });
}

function toOpening({ to, protocol, ports }: Destination): Opening[] {
  if (to === "thisHost") return [];
  const range = "range" in to ? to.range : ("192.0.2.53/32" as never);
  return [{ range, protocol, ...(ports === undefined ? {} : { ports }), ...("host" in to ? { host: to.host } : {}) }];
}

const anyDestination = fc.constantFrom(
  "10.0.0.0/8",
  "10.0.0.5:443",
  "[fd00::/8]:53/udp",
  "db.example.com:5432",
  "fd00::1/icmp",
  "1.1.1.1/udp",
);
const anyPort = fc.integer({ min: 1, max: 65_535 });
const anyPublished = fc
  .tuple(fc.constantFrom("", "127.0.0.1:", "[fd00::7]:"), anyPort, anyPort, fc.constantFrom("", "/udp"))
  .map((parts) => `${parts[0]}${parts[1]}:${parts[2]}${parts[3]}`);
const doors = { allow: fc.array(anyDestination, { maxLength: 4 }), publish: fc.array(anyPublished, { maxLength: 3 }) };

/** Any interface that Warder makes itself. */
const anyInterface: fc.Arbitrary<NetworkInput> = fc.oneof(
  fc.record({ mode: fc.constantFrom("isolated" as const, "egress" as const), ...doors }),
  fc.constant(null).map((): NetworkInput => ({ mode: "egress", allow: ["host:3128"], dns: ["10.0.0.53", "fd00::53"] })),
  fc.record({ mode: fc.constant("network" as const), network: fc.constantFrom("blue", "green") }),
  fc.constant({ mode: "bridge" as const, bridge: "br0", address6: "fd00:7::9/64", gateway6: "fd00:7::1" }),
  fc.record({ mode: fc.constant("bridge" as const), bridge: fc.constantFrom("br0", "br1"), allow: doors.allow }),
);

/** Any id of a VM. */
export const anyId: fc.Arbitrary<VmId> = fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/).map(toVmId);

/** Any network of a VM that Warder makes itself, with the VM's id. */
export const anyNetwork: fc.Arbitrary<{ readonly id: VmId; readonly network: VmNetwork }> = fc
  .tuple(anyId, fc.array(anyInterface, { maxLength: 4 }), fc.boolean())
  .filter(([, inputs]) => networksSchema.safeParse(inputs).success)
  .map(([id, inputs, ipv6]) => ({ id, network: networkOf(inputs, { id, ipv6 }) }));
