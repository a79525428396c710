import type { Config, ConfigOverrides, SettingOrigin } from "../../config/config.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { harmless, printJson, printTable, type Terminal } from "../terminal.ts";
import { settingName } from "../usage.ts";

/** One setting as `config --json` shows it. */
export interface ConfigEntry {
  readonly name: string;
  readonly value: unknown;
  readonly origin: SettingOrigin;
  /** Its name in the environment. */
  readonly variable: string;
}

export const configCommand = defineCommand({
  flags: {},
  examples: [
    ["warder config", "What is in force here"],
    ["warder config --state-dir /srv/other", "What would be, with a flag"],
  ],
  parse: ({ common }): CommonRequest => common,
  execute: config,
});

/** Shows the settings in force, and where each comes from. */
export async function config(request: CommonRequest, terminal: Terminal): Promise<number> {
  const entries = await readEntries(request.overrides);
  if (request.json) printJson(terminal, entries);
  else printTable(terminal, ["SETTING", "VALUE", "FROM", "VARIABLE"], entries.map(toRow));
  return 0;
}

async function readEntries(overrides: ConfigOverrides): Promise<ConfigEntry[]> {
  const { loadConfig, settingOrigins } = await import("../../config/config.ts");
  const values: Config = loadConfig(overrides);
  return settingOrigins(overrides).map(({ name, variable, origin }) => {
    return { name, value: values[name] ?? null, origin, variable };
  });
}

function toRow({ name, value, origin, variable }: ConfigEntry): string[] {
  return [name, formatValue(value), origin === "flag" ? settingName(name) : origin, variable];
}

/** Ranges as the flag takes them. */
function formatValue(value: unknown): string {
  if (value === null) return "-";
  if (typeof value === "object" && "first" in value && "count" in value) return `${value.first}:${value.count}`;
  return harmless(String(value));
}
