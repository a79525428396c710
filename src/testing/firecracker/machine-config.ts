/** The parts of the configuration that are checked by value: machine, balloon, network, MMDS. */
import { readFileSync } from "node:fs";
import type { Body } from "./bodies.ts";
import { Refusal } from "./refusal.ts";

export type Machine = Body<"machine">;
export type Balloon = Body<"balloon">;
export type NetworkInterface = Body<"networkInterface">;

export const DEFAULT_MACHINE: Machine = {
  vcpu_count: 1,
  mem_size_mib: 128,
  smt: false,
  cpu_template: null,
  track_dirty_pages: false,
  huge_pages: "None",
};

const MAX_VCPUS = 32;
const MAX_TAP_NAME_BYTES = 15;
const LINK_LOCAL = "169.254.";

export function checkMachine(machine: Machine, balloon: Balloon | undefined): void {
  const { vcpu_count: vcpus, mem_size_mib: memory } = machine;
  if (vcpus < 1 || vcpus > MAX_VCPUS || (machine.smt && vcpus > 1 && vcpus % 2 === 1)) {
    const rule = "must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.";
    throw new Refusal("machine", `The number of vCPUs ${rule}`, "InvalidVcpuCount");
  }
  if (memory === 0 || (machine.huge_pages === "2M" && memory % 2 === 1)) {
    const rule = "is either 0, or not a multiple of the configured page size.";
    throw new Refusal("machine", `The memory size (MiB) ${rule}`, "InvalidMemorySize");
  }
  if (balloon !== undefined && balloon.amount_mib > memory) {
    const rule = "is smaller than the previously set balloon device target size.";
    throw new Refusal("machine", `The memory size (MiB) ${rule}`, "IncompatibleBalloonSize");
  }
}

export function checkBalloon(balloon: Balloon, machine: Machine): void {
  if (balloon.amount_mib <= machine.mem_size_mib) return;
  throw new Refusal("balloon", "Amount of pages requested is too large.", "TooManyPagesRequested");
}

export function checkMmdsConfig(config: Body<"mmdsConfig">, interfaces: readonly NetworkInterface[]): void {
  const { network_interfaces: ids, ipv4_address: address } = config;
  if (ids.length === 0) {
    const message = "The list of network interface IDs that allow forwarding MMDS requests is empty.";
    throw new Refusal("mmdsConfig", message, "EmptyNetworkIfaceList");
  }
  if (address !== null && !address.startsWith(LINK_LOCAL)) {
    throw new Refusal("mmdsConfig", "The MMDS IPv4 address is not link local.", "InvalidIpv4Addr");
  }
  if (ids.every((id) => interfaces.some((candidate) => candidate.iface_id === id))) return;
  const list = "The list of network interface IDs provided";
  const message = `${list} contains at least one ID that does not correspond to any existing network interface.`;
  throw new Refusal("mmdsConfig", message, "InvalidNetworkInterfaceId");
}

/** Which TAP devices there are: these, those of the host, or whichever is asked for. */
export type Taps = readonly string[] | "host" | "any";

export function checkMac({ guest_mac: mac }: NetworkInterface, others: readonly NetworkInterface[]): void {
  if (mac === null || !others.some((other) => other.guest_mac === mac)) return;
  throw new Refusal("network", `The MAC address is already in use: ${mac}`, `GuestMacAddressInUse("${mac}")`);
}

export function checkTap(wanted: NetworkInterface, others: readonly NetworkInterface[], taps: Taps): void {
  const tap = wanted.host_dev_name;
  if (Buffer.byteLength(tap) > MAX_TAP_NAME_BYTES) throw tapRefusal("Invalid interface name", "InvalidIfname");
  if (others.some((other) => other.host_dev_name === tap)) throw ifreqRefusal(tap, "Resource busy (os error 16)");
  if (!tapExists(tap, taps)) throw ifreqRefusal(tap, "Operation not permitted (os error 1)");
}

/** Root makes a missing TAP by opening it; everybody else may not. */
function tapExists(name: string, taps: Taps): boolean {
  if (taps === "any") return true;
  if (taps !== "host") return taps.includes(name);
  if (process.getuid?.() === 0) return true;
  return readFileSync("/proc/self/net/dev", "utf8").includes(`${name}:`);
}

function ifreqRefusal(tap: string, problem: string): Refusal {
  const advice = "Check our documentation on setting up the network devices.";
  const backend = `Invalid TUN/TAP Backend provided by ${tap}. ${advice}`;
  return tapRefusal(`Error while creating ifreq structure: ${problem}. ${backend}`, `IfreqExecuteError("${tap}")`);
}

function tapRefusal(problem: string, debug: string): Refusal {
  const message = `Could not create the network device: Open tap device failed: ${problem}`;
  return new Refusal("network", message, `CreateNetworkDevice(TapOpen(${debug}))`);
}
