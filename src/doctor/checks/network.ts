import { isWarderError, messageOf } from "../../vm/error.ts";
import type { Check, CheckContext } from "../check.ts";
import { openError } from "../look.ts";
import { ok, skipped, type Verdict, warning } from "../report.ts";

const TUN_NUMBER = "10:200";

/** Checks of what VMs' networks need. */
export const networkChecks: readonly Check[] = [
  { code: "netns", run: checkNetworkNamespaces },
  { code: "tun-device", run: checkTunDevice },
];

/** Makes a namespace that ends with the program in it: a named one could be left behind. */
async function checkNetworkNamespaces({ host, signal }: CheckContext): Promise<Verdict> {
  if (host.commands.find("unshare") === undefined) return skipped("there is no `unshare` to try it with");
  try {
    await host.commands.run({ tool: "unshare", args: ["--net", "true"], signal });
    return ok("one was made");
  } catch (error) {
    signal.throwIfAborted();
    return warning(`none can be made: ${isWarderError(error) ? error.why : messageOf(error)}`);
  }
}

function checkTunDevice({ host }: CheckContext): Verdict {
  const path = `${host.roots.dev}/net/tun`;
  const facts = host.files.inspectFollowing(path);
  if (facts === undefined) return warning(`${path} is not there`);
  if (facts.kind !== "character" || facts.deviceNumber !== TUN_NUMBER) return warning(`${path} is not the tun device`);
  const error = openError(host, path);
  return error === undefined ? ok(`${path} opens`) : warning(`${path} can not be opened: ${error}`);
}
