import type { Host } from "../host/host.ts";
import { messageOf, systemCodeOf, WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import type { BridgedUplink, CniUplink, VmInterface, VmNamespace, VmNetwork } from "../vm/network/vm-network.ts";
import { addCni } from "./cni/chain.ts";
import { redirectBatch } from "./cni/redirect.ts";
import { readCniResult } from "./cni/result.ts";
import { hostBatch, insideBatch, insideIpv6Batch, type TapOwner } from "./ip-batch.ts";
import { changeElements, replaceTables } from "./rules/document.ts";
import { insideTables } from "./rules/inside.ts";
import { guardTable, HOST_PORTS, hostPortElements, publishedTable } from "./rules/outside.ts";
import { BUILD, BUILD_INSIDE } from "./scripts.ts";
import { insideSettings, type NetworkSetting, outsideSettings } from "./sysctls.ts";
import { applyDocument, type Bounds, networkFailure, runScript, runTool } from "./tools.ts";

/** Whose network is made. */
export interface BuildRequest {
  readonly id: VmId;
  readonly network: VmNetwork;
  /** The jail's user. */
  readonly owner: TapOwner;
}

/**
 * Makes a VM's network: namespace, devices in it, addresses, rules, and what the host needs for it. When this settles,
 * every rule is in force. What was made when it fails half way, `removeNetwork` takes away.
 *
 * @throws {@link WarderError} `network-name-taken`, `network-unavailable`, `network-failed`, `permission-denied`,
 * `deadline-exceeded`, `aborted`, `cni-failed`.
 * @returns The network, with what plugins have added to it.
 */
export async function buildNetwork(host: Host, request: BuildRequest, bounds: Bounds): Promise<VmNetwork> {
  const { id, network } = request;
  if (network.namespace === undefined) return network;
  try {
    await ensureBridges(host, network, bounds);
    await buildNamespace(host, request, network.namespace, bounds);
    writeOutsideSettings(host, network);
    await openHost(host, id, network, bounds);
    return await joinCniNetworks(host, request, network.namespace, bounds);
  } catch (error) {
    throw networkFailure(error, `making the network of ${id}`);
  }
}

/** Has CNI plugins make their part, and joins it to the guest's; the guest is then what they say it is. */
async function joinCniNetworks(
  host: Host,
  { id, network }: BuildRequest,
  namespace: VmNamespace,
  bounds: Bounds,
): Promise<VmNetwork> {
  if (!network.interfaces.some(({ uplink }) => uplink?.kind === "cni")) return network;
  const interfaces: VmInterface[] = [];
  for (const each of network.interfaces) {
    interfaces.push(
      each.uplink?.kind === "cni" ? await joinCniNetwork(host, id, namespace, each, each.uplink, bounds) : each,
    );
  }
  const joined = { ...network, interfaces };
  await applyInsideRules(host, namespace, joined, bounds);
  return joined;
}

async function joinCniNetwork(
  host: Host,
  id: VmId,
  namespace: VmNamespace,
  planned: VmInterface,
  uplink: CniUplink,
  bounds: Bounds,
): Promise<VmInterface> {
  const result = await addCni(host, { id, namespace, uplink }, bounds);
  const joined: VmInterface = { ...planned, ...readCniResult(result, uplink.inside), uplink: { ...uplink, result } };
  await runTool(host, namespace.path, "sh", ["-c", "cat | tc -batch -"], { ...bounds, input: redirectBatch(joined) });
  return joined;
}

/** Opens the ports of this host that were published or allowed, and nothing where there are none. */
export async function openHost(host: Host, id: VmId, network: VmNetwork, bounds: Bounds): Promise<void> {
  const published = publishedTable(id, network);
  const elements = changeElements("add", guardTable, HOST_PORTS, hostPortElements(network));
  if (published === undefined && elements.length === 0) return;
  const { nftables } = replaceTables(published === undefined ? [] : [published]);
  await applyDocument(host, undefined, { nftables: [...nftables, ...elements] }, bounds);
}

/** Puts the rules in a VM's namespace in force, in one step, whatever is there instead. */
export async function applyInsideRules(
  host: Host,
  namespace: VmNamespace,
  network: VmNetwork,
  bounds: Bounds,
): Promise<void> {
  await applyDocument(host, namespace.path, replaceTables(insideTables(network)), bounds);
}

async function buildNamespace(
  host: Host,
  { id, network, owner }: BuildRequest,
  namespace: VmNamespace,
  bounds: Bounds,
): Promise<void> {
  const settings = insideSettings(network).map(({ file, value }) => `${file} ${value}\n`);
  const args = [
    hostBatch(id, namespace, network),
    namespace.path,
    BUILD_INSIDE,
    insideBatch(id, network, owner),
    insideIpv6Batch(network),
    settings.join(""),
  ];
  await runScript(host, BUILD, args, { ...bounds, input: JSON.stringify(replaceTables(insideTables(network))) });
}

/** The bridges of networks of VMs, which stay when the last VM has gone. Those of the host are the host's. */
async function ensureBridges(host: Host, { interfaces }: VmNetwork, bounds: Bounds): Promise<void> {
  const bridges = interfaces
    .map(({ uplink }) => uplink)
    .filter((uplink): uplink is BridgedUplink => uplink?.kind === "bridged" && uplink.network !== undefined);
  for (const { bridge, network } of bridges) {
    if (isDevice(host, bridge)) continue;
    const batch = `link add name ${bridge} type bridge\nlink set dev ${bridge} alias ${network} addrgenmode none up\n`;
    try {
      await runTool(host, undefined, "ip", ["-batch", "-"], { ...bounds, input: batch });
    } catch (error) {
      // Another VM's start was faster: it brings the bridge up, if it has not yet.
      if (!messageOf(error).includes("File exists")) throw error;
    }
  }
}

function isDevice(host: Host, name: string): boolean {
  return host.files.inspect(`${host.roots.sys}/class/net/${name}`) !== undefined;
}

function writeOutsideSettings(host: Host, { interfaces }: VmNetwork): void {
  for (const setting of interfaces.flatMap(outsideSettings)) writeSetting(host, setting);
}

function writeSetting(host: Host, { file, value }: NetworkSetting): void {
  try {
    host.files.writeControl(`${host.roots.proc}/sys/net/${file}`, value);
  } catch (cause) {
    // A kernel without IPv6 has nothing to switch off.
    if (systemCodeOf(cause) === "ENOENT" && file.startsWith("ipv6/")) return;
    throw new WarderError("network-failed", {
      doing: `setting net/${file} to ${value}`,
      why: messageOf(cause),
      cure: "Give the process a writable /proc/sys",
      cause,
    });
  }
}
