import type { VmInterface, VmNetwork } from "./vm-network.ts";

/** What `inspect` shows of one interface of a VM. Members are only ever added. */
export interface NetworkView {
  /** What Firecracker calls it: `eth0`. */
  readonly name: string;
  readonly mode: string;
  readonly mac: string;
  /** With the length of its network: `10.100.0.2/17`. */
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** The device on the host's side, in the VM's namespace. */
  readonly tap: string;
  /** The host's end of the cable; absent where there is none. */
  readonly outside?: string;
  /** The bridge that the cable is a port of. */
  readonly bridge?: string;
  /** The network that VMs share. */
  readonly network?: string;
  /** Ports of the host that lead to it: `*:8080->80/tcp`. */
  readonly published: readonly string[];
}

/** The view of a VM's interfaces. */
export function toNetworkView({ interfaces }: VmNetwork): NetworkView[] {
  return interfaces.map((each) => ({
    name: each.name,
    mode: each.mode,
    mac: each.mac,
    ipv4: withLength(each.ipv4),
    ipv6: withLength(each.ipv6),
    tap: each.tap,
    ...uplinkView(each),
    published: (each.policy?.published ?? []).map(
      ({ hostAddress = "*", hostPort, guestPort, protocol }) => `${hostAddress}:${hostPort}->${guestPort}/${protocol}`,
    ),
  }));
}

function uplinkView({ uplink }: VmInterface): Pick<NetworkView, "outside" | "bridge" | "network"> {
  if (uplink === undefined) return {};
  if (uplink.kind === "cni") return { network: uplink.network };
  if (uplink.kind === "routed") return { outside: uplink.outside };
  return {
    outside: uplink.outside,
    bridge: uplink.bridge,
    ...(uplink.network === undefined ? {} : { network: uplink.network }),
  };
}

function withLength(guest: VmInterface["ipv4"] | VmInterface["ipv6"]): string | null {
  return guest === undefined ? null : `${guest.address}/${guest.prefixLength}`;
}
