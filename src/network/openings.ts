import type { Host } from "../host/host.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import { addressProblem, canonical, type IpAddress, isIpv4 } from "../vm/network/address.ts";
import { contains, overlaps, toCidr } from "../vm/network/cidr.ts";
import type { Destination, HostName } from "../vm/network/destination.ts";
import type { NetworkSpec } from "../vm/network/spec.ts";
import type { Opening } from "../vm/network/vm-network.ts";
import { closedIpv4, closedIpv6, globalIpv6 } from "./closed-ranges.ts";
import type { Bounds } from "./tools.ts";

/** A host with more addresses is no host but a service, and its name no rule. */
const ADDRESSES_MAX = 16;
const LOOKUP_TIMEOUT_MS = 5_000;
const DNS_PORT = { first: 53, last: 53 };

/**
 * What an interface's `allow` and `dns` open, with hosts looked up now, once: a name that changes its mind while the VM
 * runs opens nothing more.
 *
 * @throws {@link WarderError} `host-unresolved` where a host has no address, or one that is not of the public internet:
 * whoever has the say over a name must not have it over what is private here.
 */
export async function openingsOf(host: Host, spec: NetworkSpec, bounds: Bounds): Promise<Opening[]> {
  const allowed = await Promise.all(spec.allow.map((each) => openingsFor(host, each, bounds)));
  const resolvers = spec.dns.flatMap((address) =>
    (["udp", "tcp"] as const).map((protocol): Opening => ({ range: toCidr(address), protocol, ports: DNS_PORT })),
  );
  return [...allowed.flat(), ...resolvers];
}

async function openingsFor(host: Host, { to, protocol, ports }: Destination, bounds: Bounds): Promise<Opening[]> {
  if (to === "thisHost") return [];
  const rest = { protocol, ...(ports === undefined ? {} : { ports }) };
  if ("range" in to) return [{ range: to.range, ...rest }];
  const addresses = await lookUp(host, to.host, bounds);
  return addresses.map((address) => ({ range: toCidr(address), ...rest, host: to.host }));
}

/** The system's own resolver, with all that it is configured to ask. */
async function lookUp(host: Host, name: HostName, { signal }: Bounds): Promise<IpAddress[]> {
  const request = { tool: "getent", args: ["ahosts", name], timeoutMs: LOOKUP_TIMEOUT_MS };
  const output = await host.commands.run({ ...request, ...(signal === undefined ? {} : { signal }) }).catch((error) => {
    if (isWarderError(error) && error.code !== "aborted" && error.code !== "tool-missing")
      throw unresolved(name, "it has no address");
    throw error;
  });
  const addresses = parseAddresses(output.stdout);
  if (addresses.length === 0) throw unresolved(name, "it has no address");
  const closed = addresses.find((address) => !isPublic(address));
  if (closed !== undefined) throw unresolved(name, `its address ${closed} is not one of the public internet`);
  return addresses.slice(0, ADDRESSES_MAX);
}

/** Reads what `getent ahosts` prints: an address at the beginning of each line. */
export function parseAddresses(text: string): IpAddress[] {
  const words = text.split("\n").map((line) => line.split(/\s/, 1)[0] ?? "");
  return [...new Set(words.filter((word) => addressProblem(word) === undefined).map(canonical))];
}

/** Whether an address is of the public internet. */
export function isPublic(address: IpAddress): boolean {
  if (isIpv4(address)) return !closedIpv4.some((range) => contains(range, address));
  const own = toCidr(address);
  return overlaps(globalIpv6, own) && !closedIpv6.some((range) => contains(range, address));
}

function unresolved(name: HostName, why: string): WarderError {
  return new WarderError("host-unresolved", {
    doing: `looking up ${name}, which a VM may send to`,
    why,
    cure: "Check the name and this host's resolver; what is not public is opened by its address: `--allow 10.0.0.5:443`",
  });
}
