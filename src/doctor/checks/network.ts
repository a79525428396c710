import { isWarderError, messageOf } from "../../vm/error.ts";
import type { Check, CheckContext } from "../check.ts";
import { openError, readIfThere } from "../look.ts";
import { ok, skipped, type Verdict, warning } from "../report.ts";

const TUN_NUMBER = "10:200";

/** Checks of what VMs' networks need. */
export const networkChecks: readonly Check[] = [
  { code: "netns", run: checkNetworkNamespaces },
  { code: "tun-device", run: checkTunDevice },
  { code: "network-devices", run: checkDevices },
  { code: "packet-filter", run: checkPacketFilter },
  { code: "ip-forwarding", run: checkForwarding },
  { code: "forward-policy", run: checkForwardPolicy },
  { code: "reverse-path-filter", run: checkReversePathFilter },
  { code: "address-pool", run: checkAddressPool },
];

/** Makes a namespace that ends with the program in it: a named one could be left behind. */
async function checkNetworkNamespaces(context: CheckContext): Promise<Verdict> {
  return tryIn(context, ["true"], "one was made");
}

function checkTunDevice({ host }: CheckContext): Verdict {
  const path = `${host.roots.dev}/net/tun`;
  const facts = host.files.inspectFollowing(path);
  if (facts === undefined) return warning(`${path} is not there`);
  if (facts.kind !== "character" || facts.deviceNumber !== TUN_NUMBER) return warning(`${path} is not the tun device`);
  const error = openError(host, path);
  return error === undefined ? ok(`${path} opens`) : warning(`${path} can not be opened: ${error}`);
}

/** One of each, in a namespace that ends with the program that made them. */
const DEVICES = [
  "link add name wrd-a type veth peer name wrd-b",
  "link add name wrb-a type bridge",
  "tuntap add dev tap-a mode tap",
  "link set dev wrd-a master wrb-a",
  "link set dev wrd-a type bridge_slave isolated on",
];

async function checkDevices(context: CheckContext): Promise<Verdict> {
  const input = DEVICES.map((line) => `${line}\n`).join("");
  return tryIn(context, ["ip", "-batch", "-"], "one of each was made", input);
}

/** Each kind of rule that VMs' networks have. */
const RULES = `table inet warder {
  counter dropped { }
  chain forward { type filter hook forward priority 0; policy drop
    ct state established,related accept
    limit rate over 500/second counter name dropped drop
    fib daddr type local drop
  }
  chain source { type nat hook postrouting priority 100
    iifname "wrd-*" masquerade
  }
  chain published { type nat hook prerouting priority -100
    tcp dport 8080 dnat ip to 10.0.0.1:80
    tcp dport 8080 dnat ip6 to [fd00::1]:80
  }
}
table netdev warder { chain guest { type filter hook ingress device "lo" priority -500
    arp saddr ip 10.0.0.1 accept
  }
}
`;

async function checkPacketFilter(context: CheckContext): Promise<Verdict> {
  if (context.host.commands.find("nft") === undefined) return warning("nft is not installed");
  return tryIn(context, ["sh", "-c", "cat | nft -f -"], "rules of each kind can be made", RULES);
}

function checkForwarding({ host }: CheckContext): Verdict {
  const isOn = (file: string) => readIfThere(host, `${host.roots.proc}/sys/net/${file}`)?.trim() === "1";
  const families = [
    ["IPv4", isOn("ipv4/ip_forward")],
    ["IPv6", isOn("ipv6/conf/all/forwarding")],
  ] as const;
  const off = families.filter(([, on]) => !on).map(([name]) => name);
  return off.length === 0 ? ok("on, for IPv4 and IPv6") : warning(`off for ${off.join(" and ")}`);
}

/** Another's chain that drops what it does not know is no fault of its own, and one of VMs' networks. */
async function checkForwardPolicy({ host, signal }: CheckContext): Promise<Verdict> {
  if (host.commands.find("nft") === undefined) return skipped("there is no `nft` to look with");
  const { stdout } = await host.commands.run({ tool: "nft", args: ["-j", "list", "chains"], signal });
  const dropping = parseForwardDrops(stdout);
  return dropping.length === 0
    ? ok("none drops all that it does not know")
    : warning(`${dropping.join(", ")} drops all that it does not know`);
}

/** Chains of others that drop forwarded packets by their policy, of what `nft -j list chains` printed. */
export function parseForwardDrops(text: string): string[] {
  const parsed = JSON.parse(text) as {
    readonly nftables?: readonly { readonly chain?: Readonly<Record<string, unknown>> }[];
  };
  return (parsed.nftables ?? []).flatMap(({ chain }) => {
    if (chain?.hook !== "forward" || chain.policy !== "drop") return [];
    return String(chain.table).startsWith("warder") ? [] : [`${chain.family} ${chain.table} ${chain.name}`];
  });
}

const LOOSE = "2";

function checkReversePathFilter({ host }: CheckContext): Verdict {
  const value = readIfThere(host, `${host.roots.proc}/sys/net/ipv4/conf/all/rp_filter`)?.trim();
  if (value === undefined) return skipped("the kernel has none");
  return value === LOOSE ? warning("loose for all interfaces") : ok("as each interface has it");
}

function checkAddressPool({ deps }: CheckContext): Verdict {
  const route = deps.conflictingRoute();
  return route === undefined ? ok("no route of the host leads there") : warning(`the host has a route there: ${route}`);
}

/** Tries something in a network namespace that ends with it. */
async function tryIn(
  { host, signal }: CheckContext,
  command: readonly string[],
  found: string,
  input?: string,
): Promise<Verdict> {
  if (host.commands.find("unshare") === undefined) return skipped("there is no `unshare` to try it with");
  try {
    await host.commands.run({
      tool: "unshare",
      args: ["--net", ...command],
      signal,
      ...(input === undefined ? {} : { input }),
    });
    return ok(found);
  } catch (error) {
    signal.throwIfAborted();
    const why = isWarderError(error) ? error.why : messageOf(error);
    return warning(`it can not be done: ${why.trim().split("\n", 1)[0]}`);
  }
}
