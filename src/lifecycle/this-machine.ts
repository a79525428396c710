import { searchPathOf } from "../config/ambient.ts";
import type { Config, ConfigOverrides } from "../config/config.ts";
import { type LoadedConfig, readConfig } from "../config/read.ts";
import type { Host } from "../host/host.ts";
import { openHost } from "../host/real/host.ts";
import { readConfigFile } from "./config-file.ts";

/** This machine and how Warder is configured on it: what tasks need that need no VM. */
export interface ThisMachine {
  readonly host: Host;
  readonly config: Config;
}

/** The same, with what can be told about the configuration: origins and notices. */
export interface OpenedMachine extends ThisMachine {
  readonly loaded: LoadedConfig;
}

/**
 * The one place where the real host is opened. Makes nothing.
 *
 * @throws {@link WarderError} `invalid-config` with every wrong setting.
 */
export function openThisMachine(overrides: ConfigOverrides = {}): OpenedMachine {
  const host = openHost(searchPathOf(overrides));
  const loaded = readMachineConfig(host, overrides);
  return { host, loaded, config: loaded.config };
}

/**
 * Reads the configuration, the file included: at the start, and again at SIGHUP.
 *
 * @throws {@link WarderError} `invalid-config` with every wrong setting.
 */
export function readMachineConfig(host: Host, overrides: ConfigOverrides = {}): LoadedConfig {
  const file = readConfigFile(host, overrides);
  return readConfig({ overrides, ...(file === undefined ? {} : { file }) });
}
