import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type NetworkInterface,
  NetworkMode,
  type RateLimit,
  type VmNetworkInfoSchema,
} from "../../../gen/vmprovisioner/v1/vm_pb.js";
import type { FieldProblem } from "../../vm/error.ts";
import type { VmRecord } from "../../vm/record.ts";
import type { VmSpecInput } from "../../vm/spec.ts";

type NetworksInput = NonNullable<VmSpecInput["networks"]>;

/** What is wrong with interfaces beyond what the core sees. */
export function networkProblems(interfaces: readonly NetworkInterface[]): FieldProblem[] {
  return interfaces.flatMap(({ interfaceType, mode }, index) => {
    const at = (name: string, problem: string) => ({ field: `config.network[${index}].${name}`, problem });
    return [
      ...(["", "virtio-net"].includes(interfaceType) ? [] : [at("interface_type", "must be virtio-net or empty")]),
      ...(mode === NetworkMode.IPV6_ONLY ? [at("mode", "every interface speaks IPv4")] : []),
    ];
  });
}

/**
 * Interfaces in the core's terms: a TAP device that is named is the caller's own; without one the guest reaches the
 * public internet, as metald's guests do behind its bridge.
 */
export function toNetworks(interfaces: readonly NetworkInterface[]): NetworksInput {
  return interfaces.map(({ tapDevice, macAddress, mode, ipv4Config, ipv6Config, rxRateLimit, txRateLimit }) => {
    const dns = [...(ipv4Config?.dnsServers ?? []), ...(ipv6Config?.dnsServers ?? [])];
    return {
      ...(tapDevice === "" ? { mode: "egress" as const, dns } : { mode: "tap" as const, tap: tapDevice }),
      ...(macAddress === "" ? {} : { mac: macAddress }),
      ...(mode === NetworkMode.IPV4_ONLY && tapDevice === "" ? { ipv6: false } : {}),
      ...(rxRateLimit === undefined ? {} : { rxRateLimit: toRateLimit(rxRateLimit) }),
      ...(txRateLimit === undefined ? {} : { txRateLimit: toRateLimit(txRateLimit) }),
    };
  });
}

function toRateLimit({ bandwidth, burst }: RateLimit) {
  const bytesPerSecond = Number(bandwidth);
  return { bandwidth: { bytesPerSecond, ...(burst > 0n ? { burstBytes: Number(burst) } : {}) } };
}

/** How a VM is connected, of its first interface, which is all that metald's message has room for. */
export function networkInfoOf({ network }: VmRecord): MessageInitShape<typeof VmNetworkInfoSchema> | undefined {
  const [first] = network?.interfaces ?? [];
  if (first === undefined) return undefined;
  const { mac, tap, ipv4, dns, policy } = first;
  return {
    ipAddress: ipv4?.address ?? "",
    macAddress: mac,
    tapDevice: tap,
    networkNamespace: network?.namespace?.name ?? "",
    gateway: ipv4?.gateway ?? "",
    dnsServers: [...dns],
    portMappings: (policy?.published ?? []).map(({ guestPort, hostPort, protocol }) => {
      return { containerPort: guestPort, hostPort, protocol };
    }),
  };
}
