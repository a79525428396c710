import type { Host } from "../../host/host.ts";
import { type ServiceFile, type ServiceSettings, serviceFiles, UNIT, UNIT_FILE } from "./files.ts";
import { type InstallTarget, isOurs, isSystemdRunning, runTool, within } from "./install.ts";
import type { Step } from "./step.ts";

/**
 * Plans the removal of the service: the daemon ends, the VMs go on, and whatever an operator or a VM may still need
 * stays.
 */
export function planUninstall(host: Host, settings: ServiceSettings, target: InstallTarget): Step[] {
  const files = serviceFiles(host, settings).map((file) => ({ ...file, path: within(target, file.path) }));
  const hasUnit = host.files.inspect(within(target, UNIT_FILE)) !== undefined;
  const isLive = target.root === undefined && hasUnit && isSystemdRunning(host);
  return [
    ...(isLive ? [systemctlStep(host, "disable", "--now", UNIT)] : []),
    ...files.toReversed().map((file) => removalStep(host, file)),
    ...(isLive ? [systemctlStep(host, "daemon-reload")] : []),
    { kind: "keep", what: within(target, settings.stateDir), why: "records and output of VMs, which may still run" },
    { kind: "keep", what: within(target, settings.chrootBase), why: "jails of VMs" },
    { kind: "keep", what: "users jailer and warder", why: "an id that is given again would inherit their files" },
  ];
}

function systemctlStep(host: Host, ...args: readonly string[]): Step {
  const what = ["systemctl", ...args].join(" ");
  return { kind: "run", what, apply: (signal) => runTool(host, "systemctl", args, signal) };
}

function removalStep(host: Host, { path, isOperators }: ServiceFile): Step {
  if (host.files.inspectFollowing(path) === undefined) return { kind: "unchanged", what: path, why: "it is not there" };
  if (isOperators) return { kind: "keep", what: path, why: "it is the operator's" };
  if (!isOurs(host, path)) return { kind: "keep", what: path, why: "somebody else has put it there" };
  return { kind: "remove", what: path, apply: () => void host.files.removeFile(path) };
}
