import type { VmInterface, VmNetwork } from "../vm/network/vm-network.ts";

/** A setting of the kernel's network code: its file below `/proc/sys/net`, and its value. */
export interface NetworkSetting {
  readonly file: string;
  readonly value: string;
}

/** What is set in the VM's namespace, where everything is off that is not named here. Pure. */
export function insideSettings({ interfaces }: VmNetwork): NetworkSetting[] {
  const forwarding = interfaces.filter(({ uplink }) => uplink !== undefined && uplink.kind !== "cni");
  const withIpv6 = forwarding.filter(({ ipv6 }) => ipv6 !== undefined);
  return [
    ...(forwarding.length > 0 ? [on("ipv4/ip_forward")] : []),
    ...(withIpv6.length > 0 ? [on("ipv6/conf/all/forwarding")] : []),
    ...forwarding.flatMap(neighbourSettings),
  ];
}

/**
 * What is set for the host's end of a cable: packets are taken from it for their way on, with the VM's addresses alone
 * as their source; and nothing that comes out of it configures the host. Pure.
 */
export function outsideSettings({ ipv6, uplink, policy }: VmInterface): NetworkSetting[] {
  if (uplink === undefined || uplink.kind === "cni") return [];
  const { outside } = uplink;
  const noIpv6 = ipv6 === undefined || uplink.kind === "bridged";
  const hasLoopback = policy?.published.some(
    ({ hostAddress }) => hostAddress === undefined || hostAddress.startsWith("127."),
  );
  return [
    ...(uplink.kind === "routed" ? [on(`ipv4/conf/${outside}/rp_filter`)] : []),
    // For ports that are published on 127.0.0.1. What a guest itself sends there the guard does not let pass.
    ...(uplink.kind === "routed" && hasLoopback === true ? [on(`ipv4/conf/${outside}/route_localnet`)] : []),
    { file: `ipv6/conf/${outside}/accept_ra`, value: "0" },
    ...(noIpv6 ? [on(`ipv6/conf/${outside}/disable_ipv6`)] : []),
  ];
}

/** The namespace answers at once for those whom it stands before: the kernel's way is to wait up to 0.8 s. */
function neighbourSettings({ tap, ipv6, uplink }: VmInterface): NetworkSetting[] {
  if (uplink?.kind !== "bridged") return [];
  const { inside } = uplink;
  return [
    on(`ipv4/conf/${tap}/proxy_arp`),
    { file: `ipv4/neigh/${tap}/proxy_delay`, value: "0" },
    { file: `ipv4/neigh/${inside}/proxy_delay`, value: "0" },
    ...(ipv6 === undefined
      ? []
      : [on(`ipv6/conf/${inside}/proxy_ndp`), { file: `ipv6/neigh/${inside}/proxy_delay`, value: "0" }]),
  ];
}

function on(file: string): NetworkSetting {
  return { file, value: "1" };
}
