import type { HostPath } from "../path.ts";
import type { Ipv4, Ipv6 } from "./address.ts";
import type { Cidr } from "./cidr.ts";
import type { HostName } from "./destination.ts";
import type { MacAddress } from "./mac.ts";
import type { InterfaceName, NetworkName } from "./names.ts";
import type { PortProtocol, PortRange, Protocol } from "./port.ts";
import type { PublishedPort } from "./published-port.ts";
import type { NetworkMode } from "./spec.ts";

/**
 * A VM's network thought through to the end: every name, address and door. Plain data, kept in the VM's record, from
 * which all commands and rules are made, and made again.
 */
export interface VmNetwork {
  /** Absent: all interfaces are the caller's own, in the namespace that the caller named or the host's. */
  readonly namespace?: VmNamespace;
  readonly interfaces: readonly VmInterface[];
}

/** A network namespace that was made for one VM. */
export interface VmNamespace {
  /** `fc-<id>` */
  readonly name: string;
  readonly path: HostPath;
}

/** One interface of a VM, from the guest to what it leads to. */
export interface VmInterface {
  /** What Firecracker calls it, and most guests: `eth0`. */
  readonly name: string;
  readonly mode: NetworkMode;
  readonly mac: MacAddress;
  /** The device that Firecracker opens; it belongs to the jail's user. */
  readonly tap: InterfaceName;
  readonly ipv4?: GuestAddress<Ipv4>;
  readonly ipv6?: GuestAddress<Ipv6>;
  /** Absent: it leads nowhere. */
  readonly uplink?: Uplink;
  /** Absent: the rules are somebody else's. */
  readonly policy?: InterfacePolicy;
  /** Told to the guest. */
  readonly dns: readonly (Ipv4 | Ipv6)[];
}

/** What the guest is to set. */
export interface GuestAddress<Address extends Ipv4 | Ipv6> {
  readonly address: Address;
  readonly prefixLength: number;
  /** Absent: there is nothing beyond the neighbours. */
  readonly gateway?: Address;
}

/** What an interface leads to beyond the VM's namespace. */
export type Uplink = RoutedUplink | BridgedUplink | CniUplink;

/** The ends of a pair of virtual cables between the VM's namespace and the host. */
interface Cable {
  /** The host's end. */
  readonly outside: InterfaceName;
  readonly outsideMac: MacAddress;
  readonly inside: InterfaceName;
  readonly insideMac: MacAddress;
}

/** Point to point: the host routes the VM's addresses to it. */
export interface RoutedUplink extends Cable {
  readonly kind: "routed";
}

/** The host's end is a port of a bridge; the VM's namespace answers for its addresses there. */
export interface BridgedUplink extends Cable {
  readonly kind: "bridged";
  readonly bridge: InterfaceName;
  /** The network of VMs that the bridge was made for. Absent: the bridge is the host's. */
  readonly network?: NetworkName;
  /** Where the neighbours are. */
  readonly subnets: readonly Cidr[];
  /** Where all else goes. Absent: nowhere. */
  readonly gateways: { readonly ipv4?: Ipv4; readonly ipv6?: Ipv6 };
}

/** What the plugins of a CNI network made, joined to the TAP device frame by frame. */
export interface CniUplink {
  readonly kind: "cni";
  readonly network: string;
  /** The interface that the plugins make in the VM's namespace. */
  readonly inside: InterfaceName;
  /** As it was when the VM was started: what was made by it is removed by it. */
  readonly config: CniConfig;
  /** What the plugins said, once they have made it. */
  readonly result?: unknown;
}

/** A CNI network: plugins in their order, each with its own configuration. */
export interface CniConfig {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly ({ readonly type: string } & Readonly<Record<string, unknown>>)[];
}

/** What may pass. */
export interface InterfacePolicy {
  /** What is open at all: nothing, the public internet, or the VMs of the same network. */
  readonly base: "nothing" | "public" | "fellows";
  readonly openings: readonly Opening[];
  /** Ports of this host which the guest finds at its gateway's address. */
  readonly hostPorts: readonly { readonly port: number; readonly protocol: PortProtocol }[];
  readonly published: readonly (PublishedPort & { readonly hostPort: number })[];
  /** Closed beyond what always is, such as the addresses of the host on a bridge. */
  readonly closed: readonly Cidr[];
  readonly newConnectionsPerSecond: number;
}

/** A range of addresses that was opened. */
export interface Opening {
  readonly range: Cidr;
  readonly protocol: Protocol;
  readonly ports?: PortRange;
  /** The host whose address this was when the VM was started. */
  readonly host?: HostName;
}
