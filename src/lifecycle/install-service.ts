import { dirname, join } from "node:path";
import type { ConfigOverrides } from "../config/config.ts";
import { DEFAULT_CONFIG_FILE } from "../config/file.ts";
import { writableLine } from "../config/write.ts";
import { isOnSystemPath, type ServiceSettings } from "../setup/service/files.ts";
import { type InstallTarget, planInstall, within } from "../setup/service/install.ts";
import type { Step } from "../setup/service/step.ts";
import { planUninstall } from "../setup/service/uninstall.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import { type OpenedMachine, openThisMachine } from "./this-machine.ts";

/** What is wanted of the service. */
export interface ServiceRequest extends InstallTarget {
  readonly isToGo: boolean;
}

/**
 * What is to be done to put the service in place, or to remove it, as this machine is configured, or the image.
 *
 * @throws {@link WarderError} `invalid-config`; see {@link planInstall} for the others.
 */
export async function planService(overrides: ConfigOverrides, { isToGo, ...target }: ServiceRequest): Promise<Step[]> {
  const machine = openTarget(overrides, target);
  const settings = serviceSettings(machine, within(target, DEFAULT_CONFIG_FILE));
  return isToGo ? planUninstall(machine.host, settings, target) : planInstall(machine.host, settings, target);
}

/** An image has a configuration of its own. */
function openTarget(overrides: ConfigOverrides, target: InstallTarget): OpenedMachine {
  const machine = openThisMachine(overrides);
  const configFile = within(target, DEFAULT_CONFIG_FILE);
  const isOwn = target.root === undefined || overrides.configFile !== undefined;
  if (isOwn || machine.host.files.inspectFollowing(configFile) === undefined) return machine;
  return openThisMachine({ ...overrides, configFile });
}

function serviceSettings({ config, loaded }: OpenedMachine, usualFile: HostPath): ServiceSettings {
  const { stateDir, chrootBase, configFile } = config;
  return {
    program: inPackage("bin/warder"),
    runs: [toHostPath(process.execPath), ...["dist", "src", "node_modules"].map(inPackage)],
    ...nodeDirectory(),
    stateDir,
    chrootBase,
    ...socketDirectory(config.server.socket),
    ...(configFile === undefined || configFile === usualFile ? {} : { configFile }),
    // What this process was told as flags is for the daemon, which will not be told so.
    configLines: loaded.entries.filter(({ origin }) => origin === "flag").map(writableLine),
  };
}

/** `bin/warder` finds the system's Node and the one in its own package by itself; any other has to be named. */
function nodeDirectory(): { readonly nodeDirectory?: HostPath } {
  const directory = dirname(process.execPath);
  const isOwn = directory.startsWith(`${inPackage("node_modules")}/`);
  return isOwn || isOnSystemPath(directory) ? {} : { nodeDirectory: toHostPath(directory) };
}

function inPackage(path: string): HostPath {
  return toHostPath(join(import.meta.dirname, "../..", path));
}

/** Only a directory of its own below `/run` is made anew at every start of the host; any other is the operator's. */
function socketDirectory(socket: string): { readonly socketDir?: HostPath } {
  const directory = dirname(socket);
  return /^\/run\/./.test(directory) ? { socketDir: toHostPath(directory) } : {};
}
