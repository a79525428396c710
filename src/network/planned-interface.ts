import type { IpAddress } from "../vm/network/address.ts";
import type { InterfaceAddress } from "../vm/network/cidr.ts";
import { isLoopbackOnly } from "../vm/network/published-port.ts";
import type { NetworkSpec } from "../vm/network/spec.ts";
import type { CniConfig, Opening } from "../vm/network/vm-network.ts";

/** An interface as it was asked for, with what had to be found out about it. */
export interface PlannedInterface {
  readonly spec: NetworkSpec;
  /** What `allow` and `dns` come to, hosts looked up. */
  readonly openings: readonly Opening[];
  readonly hasIpv6: boolean;
  /** Mode `bridge` only. */
  readonly bridge?: BridgeFacts;
  /** Mode `cni` only. */
  readonly cni?: CniConfig;
  /** Mode `network` only: number of the network's subnets. */
  readonly networkNumber?: number;
}

/** What is known of a bridge of the host. */
export interface BridgeFacts {
  /** The bridge's own. */
  readonly addresses: readonly InterfaceAddress[];
  /** All of the host's, on whichever interface. */
  readonly hostAddresses: readonly IpAddress[];
}

/** Modes in which Warder makes a cable out of the namespace, and where it leads. */
export function uplinkKind(spec: NetworkSpec): "routed" | "bridged" | "cni" | undefined {
  switch (spec.mode) {
    case "egress":
      return "routed";
    case "isolated":
      // Where nothing is opened there is nothing to lead anywhere.
      return spec.allow.length + spec.publish.length + spec.dns.length > 0 ? "routed" : undefined;
    case "bridge":
    case "network":
      return "bridged";
    case "cni":
      return "cni";
    case "tap":
      return undefined;
  }
}

/** Whether packets of this interface go through the host to others, which the host must be told to do. */
export function needsForwarding(spec: NetworkSpec): boolean {
  if (uplinkKind(spec) !== "routed") return false;
  const isToOthers = spec.allow.some(({ to }) => to !== "thisHost") || spec.dns.length > 0;
  return spec.mode === "egress" || isToOthers || spec.publish.some((port) => !isLoopbackOnly(port));
}

/** Whether Warder makes the interface's devices and addresses. */
export function isOurs({ mode }: NetworkSpec): boolean {
  return mode !== "tap" && mode !== "cni";
}
