import type { SettingOrigin } from "../../config/origin.ts";
import type { SettingEntry } from "../../config/read-setting.ts";
import { writable } from "../../config/write.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { harmless, paint, printJson, printNote, printTable, type Terminal } from "../terminal.ts";
import { settingName } from "../usage.ts";

/** One setting as `config --json` shows it. */
export interface ConfigEntry {
  /** Its name in the file and behind `--set`. */
  readonly name: string;
  /** As it can be given again; null where there is none, `(secret)` where it is not to be shown. */
  readonly value: unknown;
  readonly origin: SettingOrigin;
  /** The flag, the variable, the file and line, or the preset; null for a default. */
  readonly where: string | null;
  /** Its name in the environment; null for what only the file can say. */
  readonly variable: string | null;
  /** When a change of it takes effect. */
  readonly reload: string;
}

export const configCommand = defineCommand({
  flags: {},
  details:
    "Flags go before WARDER_ variables, these before metald's UNKEY_METALD_ ones, then file, preset and default.",
  examples: [
    ["warder config", "What is in force here"],
    ["warder config --preset production --set server.port=9090", "What would be, with flags"],
  ],
  parse: ({ common }): CommonRequest => common,
  execute: config,
});

/** Shows the settings in force, and where each comes from. */
export async function config(request: CommonRequest, terminal: Terminal): Promise<number> {
  const { openThisMachine } = await import("../../lifecycle/this-machine.ts");
  const { entries, notices } = openThisMachine(request.overrides).loaded;
  const shown = entries.map(toEntry);
  if (request.json) printJson(terminal, shown);
  else printTable(terminal, ["SETTING", "VALUE", "FROM", "VARIABLE"], shown.map(toRow));
  for (const notice of notices)
    printNote(terminal, `warder: ${paint(terminal.stderr, "warn", "warning")}: ${harmless(notice)}`);
  return 0;
}

function toEntry({ setting, value, origin, where }: SettingEntry): ConfigEntry {
  const isHidden = setting.setting.isSecret === true && origin !== "default";
  return {
    name: setting.key,
    value: isHidden ? "(secret)" : writable(setting.name, value),
    origin,
    where: origin === "default" ? null : settingName(where()),
    variable: setting.setting.isFileOnly === true ? null : setting.variable,
    reload: setting.setting.reload,
  };
}

function toRow({ name, value, origin, where, variable }: ConfigEntry): string[] {
  return [name, formatValue(value), harmless(where ?? origin), variable ?? "-"];
}

function formatValue(value: unknown): string {
  if (value === null || value === "") return "-";
  return harmless(typeof value === "object" ? JSON.stringify(value) : String(value));
}
