import { type ConfigFile, DEFAULT_CONFIG_FILE } from "./file.ts";
import { type Environment, variableOf } from "./origin.ts";
import type { ConfigOverrides } from "./overrides.ts";
import { readConfig } from "./read.ts";
import type { Config } from "./values.ts";

export type { ConfigOverrides } from "./overrides.ts";
export type { Config } from "./values.ts";

/**
 * Reads the configuration: overrides before the environment (Warder's own variables before metald's) before the file
 * before the preset before defaults. The file's text is the caller's to bring: see {@link chooseConfigFile}.
 *
 * @throws {@link WarderError} `invalid-config` with every wrong setting; a bad setting never becomes a default.
 */
export function loadConfig(
  overrides: ConfigOverrides = {},
  environment: Environment = process.env,
  file?: ConfigFile,
): Config {
  return readConfig({ overrides, environment, ...(file === undefined ? {} : { file }) }).config;
}

/** Which file is to be read, and who named it: one that was named must be there. */
export interface ConfigFileChoice {
  readonly path: string;
  readonly namedBy?: string;
}

/** Chooses the configuration file. */
export function chooseConfigFile(
  { configFile }: ConfigOverrides = {},
  environment: Environment = process.env,
): ConfigFileChoice {
  if (configFile !== undefined) return { path: configFile, namedBy: "configFile" };
  const path = variableOf(environment, "WARDER_CONFIG");
  return path === undefined ? { path: DEFAULT_CONFIG_FILE } : { path, namedBy: "WARDER_CONFIG" };
}
