import type { Host } from "../host/host.ts";
import { isWarderError, systemCodeOf } from "../vm/error.ts";
import type { Control, ControlPhase } from "../vm/isolation.ts";
import type { VmInterface } from "../vm/network/vm-network.ts";
import { compareNamespace, compareRules, type Finding, toControls, type WantedNamespace } from "./controls.ts";
import { readNamespace } from "./found.ts";
import { guardDifferences, readTable } from "./guard.ts";
import { tableDifferences } from "./rules/compare.ts";
import { publishedTable } from "./rules/outside.ts";
import type { Bounds } from "./tools.ts";

/**
 * Reads a VM's whole network back from the kernel, in its namespace and on the host, and compares it with what was made:
 * one control each. What can not be read is a gap, not an error.
 *
 * @throws {@link WarderError} `aborted`, `deadline-exceeded`, and nothing else.
 */
export async function proveNetwork(
  host: Host,
  wanted: WantedNamespace,
  phase: ControlPhase,
  bounds: Bounds = {},
): Promise<Control[]> {
  const [inside, outside] = await Promise.all([proveInside(host, wanted, bounds), proveOutside(host, wanted, bounds)]);
  return toControls([...inside, ...outside], phase);
}

async function proveInside(host: Host, wanted: WantedNamespace, bounds: Bounds): Promise<Finding[]> {
  const { namespace } = wanted.network;
  if (namespace === undefined) return [];
  return readable("network.rules", async () => compareNamespace(wanted, await readNamespace(host, namespace, bounds)));
}

async function proveOutside(host: Host, { id, network }: WantedNamespace, bounds: Bounds): Promise<Finding[]> {
  const led = network.interfaces.filter(({ uplink }) => uplink !== undefined && uplink.kind !== "cni");
  if (led.length === 0) return [];
  const uplinks = led.map((each) => proveUplink(host, each));
  const rules = await readable("network.guard", async () => {
    const published = publishedTable(id, network);
    return [
      compareRules("network.guard", await guardDifferences(host, bounds)),
      ...(published === undefined
        ? []
        : [compareRules("network.published", tableDifferences(published, await readTable(host, published, bounds)))]),
    ];
  });
  return [...uplinks, ...rules];
}

/** The host's end of a cable, which anybody with root on the host can delete or connect to something else. */
function proveUplink(host: Host, { name, uplink }: VmInterface): Finding {
  if (uplink === undefined || uplink.kind === "cni") throw new TypeError(`${name} has no cable`);
  const directory = `${host.roots.sys}/class/net/${uplink.outside}`;
  const wanted = `${uplink.outside}, up${uplink.kind === "bridged" ? `, on ${uplink.bridge}` : ""}`;
  const found = describeDevice(host, uplink.outside, directory);
  return { name: `network.${name}.uplink`, wanted, found, ok: found === wanted };
}

const IFF_UP = 1;

function describeDevice(host: Host, name: string, directory: string): string {
  try {
    if (host.files.inspect(directory) === undefined) return "none";
    const flags = Number.parseInt(host.files.readText(`${directory}/flags`), 16);
    const master = `${directory}/master`;
    const bridge =
      host.files.inspect(master) === undefined ? "" : `, on ${host.files.readLink(master).split("/").at(-1)}`;
    return `${name}, ${(flags & IFF_UP) === 0 ? "down" : "up"}${bridge}`;
  } catch (error) {
    // It went away between two looks.
    if (systemCodeOf(error) === "ENOENT") return "none";
    throw error;
  }
}

/** What a reading comes to; what could not be read is one gap of this name. */
async function readable(name: string, read: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await read();
  } catch (error) {
    const isGivenUp = !isWarderError(error) ? !(error instanceof RangeError) : /^(aborted|deadline)/.test(error.code);
    if (isGivenUp) throw error;
    const why = (error as Error).message.split("\n", 1)[0] ?? "";
    return [{ name, wanted: "readable", found: `unreadable: ${why.slice(0, 200)}`, ok: false }];
  }
}
