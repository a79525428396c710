import { type Config, type ConfigOverrides, loadConfig } from "../config/config.ts";
import type { Host } from "../host/host.ts";
import { openHost } from "../host/real/host.ts";

/** This machine and how Warder is configured on it: what tasks need that need no VM. */
export interface ThisMachine {
  readonly host: Host;
  readonly config: Config;
}

/**
 * The one place where the real host is opened. Makes nothing.
 *
 * @throws {@link WarderError} `invalid-config` with every wrong setting.
 */
export function openThisMachine(overrides: ConfigOverrides = {}): ThisMachine {
  const config = loadConfig(overrides);
  return { host: openHost(config.searchPath), config };
}
