import type { Host } from "../../host/host.ts";
import { messageOf, WarderError } from "../../vm/error.ts";
import type { VmId } from "../../vm/id.ts";
import type { CniUplink, VmNamespace } from "../../vm/network/vm-network.ts";
import type { Bounds } from "../tools.ts";
import { type CniPlaces, cniPlaces, pluginPath } from "./config.ts";

/** Plugins talk to daemons and lock files: one that hangs is not waited for longer than this. */
const PLUGIN_TIMEOUT_MS = 20_000;

/** For whom plugins are run. */
export interface CniCall {
  readonly id: VmId;
  readonly namespace: VmNamespace;
  readonly uplink: CniUplink;
  readonly places?: CniPlaces;
}

/**
 * Runs a network's plugins in their order, each with the result of those before.
 * Source: https://www.cni.dev/docs/spec (section 4).
 *
 * @returns What the last one printed.
 * @throws {@link WarderError} `cni-failed` with what the plugin said.
 */
export async function addCni(host: Host, call: CniCall, bounds: Bounds): Promise<unknown> {
  const { uplink } = call;
  let previous: unknown;
  for (const plugin of uplink.config.plugins) {
    const printed = await runPlugin(host, call, "ADD", plugin, previous, bounds);
    previous = parseResult(plugin.type, printed);
  }
  return previous;
}

/**
 * Has a network's plugins take back what they made, in reverse. Repeating is harmless: the specification wants that of
 * every plugin. Each is asked, whatever became of the others.
 *
 * @throws {@link WarderError} `cni-failed` of the first that failed, the others beside it.
 */
export async function deleteCni(host: Host, call: CniCall, bounds: Bounds): Promise<void> {
  const failures: unknown[] = [];
  for (const plugin of call.uplink.config.plugins.toReversed()) {
    await runPlugin(host, call, "DEL", plugin, call.uplink.result, bounds).catch((error: unknown) =>
      failures.push(error),
    );
  }
  const [first, ...others] = failures;
  if (first !== undefined)
    throw WarderError.from(first, "cni-failed", `removing ${call.id} from ${call.uplink.network}`).withCleanup(others);
}

async function runPlugin(
  host: Host,
  { id, namespace, uplink, places = cniPlaces }: CniCall,
  verb: "ADD" | "DEL",
  plugin: CniUplink["config"]["plugins"][number],
  previous: unknown,
  { signal }: Bounds,
): Promise<string> {
  const { cniVersion, name } = uplink.config;
  const environment = [
    `CNI_COMMAND=${verb}`,
    // Begins with a letter, as the specification wants it.
    `CNI_CONTAINERID=fc-${id}`,
    `CNI_NETNS=${namespace.path}`,
    `CNI_IFNAME=${uplink.inside}`,
    `CNI_PATH=${places.plugins.join(":")}`,
  ];
  const config = { ...plugin, cniVersion, name, ...(previous === undefined ? {} : { prevResult: previous }) };
  const request = {
    tool: "env",
    args: [...environment, pluginPath(host, plugin.type, places)],
    input: JSON.stringify(config),
  };
  try {
    const bounds = { timeoutMs: PLUGIN_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
    return (await host.commands.run({ ...request, ...bounds })).stdout;
  } catch (error) {
    signal?.throwIfAborted();
    throw new WarderError("cni-failed", {
      doing: `running the CNI plugin ${plugin.type} (${verb}) of the network ${name} for ${id}`,
      why: complaintOf(error),
      cure: "See what the plugin wants; its configuration is the file in /etc/cni/net.d",
      cause: error,
    });
  }
}

function parseResult(type: string, printed: string): unknown {
  try {
    return JSON.parse(printed);
  } catch (cause) {
    throw new WarderError("cni-failed", {
      doing: `reading what the CNI plugin ${type} printed`,
      why: `it is no JSON: ${messageOf(cause)}`,
      cure: "Look at the plugin",
      cause,
    });
  }
}

/** Plugins say in JSON, on standard output, what went wrong. */
function complaintOf(error: unknown): string {
  const text = (error as { why?: string }).why ?? messageOf(error);
  const [, message = text, details = ""] =
    /"msg":\s*"((?:[^"\\]|\\.)*)"(?:,\s*"details":\s*"((?:[^"\\]|\\.)*)")?/.exec(text) ?? [];
  return [message, details]
    .filter((part) => part !== "")
    .join(": ")
    .slice(0, 500)
    .replaceAll(/[^\x20-\x7e]/g, " ");
}
