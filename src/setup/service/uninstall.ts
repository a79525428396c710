import type { Host } from "../../host/host.ts";
import { type ServiceSettings, serviceFiles, UNIT, UNIT_FILE } from "./files.ts";
import { type InstallTarget, isOurs, isSystemdRunning, within } from "./install.ts";
import type { Step } from "./step.ts";

/**
 * Plans the removal of the service: the daemon ends, the VMs go on, and whatever an operator or a VM may still need
 * stays.
 */
export function planUninstall(host: Host, settings: ServiceSettings, target: InstallTarget): Step[] {
  const { stateDir, chrootBase } = settings;
  const files = serviceFiles(host, settings).map((file) => ({ ...file, path: within(target, file.path) }));
  const unit = within(target, UNIT_FILE);
  const isLive = target.root === undefined && isSystemdRunning(host) && host.files.inspect(unit) !== undefined;
  const systemctl = (...args: string[]): Step[] => {
    if (!isLive) return [];
    const what = ["systemctl", ...args].join(" ");
    return [
      {
        kind: "run",
        what,
        apply: async (signal) =>
          void (await host.commands.run({ tool: "systemctl", args, signal, timeoutMs: STOP_TIMEOUT_MS })),
      },
    ];
  };
  return [
    ...systemctl("disable", "--now", UNIT),
    ...files.toReversed().map((file): Step => {
      const { path, isOperators } = file;
      if (host.files.inspectFollowing(path) === undefined)
        return { kind: "unchanged", what: path, why: "it is not there" };
      if (isOperators) return { kind: "keep", what: path, why: "it is the operator's" };
      if (!isOurs(host, path)) return { kind: "keep", what: path, why: "somebody else has put it there" };
      return { kind: "remove", what: path, apply: () => void host.files.removeFile(path) };
    }),
    ...systemctl("daemon-reload"),
    { kind: "keep", what: within(target, stateDir), why: "records and output of VMs, which may still run" },
    { kind: "keep", what: within(target, chrootBase), why: "jails of VMs" },
    { kind: "keep", what: "users jailer and warder", why: "an id that is given again would inherit their files" },
  ];
}

/** The unit's own TimeoutStopSec, and some. */
const STOP_TIMEOUT_MS = 150_000;
