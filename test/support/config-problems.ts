import assert from "node:assert/strict";
import { type ConfigSources, readConfig } from "../../src/config/read.ts";
import { isWarderError } from "../../src/vm/error.ts";

/** What a configuration is refused for, by where it stands; nothing where it is taken. */
export function configProblems(sources: Partial<ConfigSources>): Record<string, string> {
  try {
    readConfig({ overrides: {}, environment: {}, ...sources });
  } catch (error) {
    assert.ok(isWarderError(error) && error.code === "invalid-config", String(error));
    return Object.fromEntries(error.fields.map(({ field, problem }) => [field, problem]));
  }
  return {};
}

/** A configuration file of these lines. */
export function configFile(...lines: readonly string[]): ConfigSources["file"] & object {
  return { path: "/etc/w.toml", text: `${lines.join("\n")}\n` };
}
