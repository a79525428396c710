import { isDeepStrictEqual } from "node:util";
import type { LoadedConfig } from "./read.ts";
import type { SettingEntry } from "./read-setting.ts";
import type { Config } from "./values.ts";

/** What a configuration that was read again changes in a daemon that runs. */
export interface ReloadPlan {
  /** What is in force from now on: settings that only a restart can change are as they were. */
  readonly inForce: LoadedConfig;
  /** Names, as in the file, of the settings that are other ones now. */
  readonly applied: readonly string[];
  /** Names of those that wait for the next start. */
  readonly waiting: readonly string[];
}

/** Compares what is in force with what was read at SIGHUP. */
export function planReload(before: LoadedConfig, after: LoadedConfig): ReloadPlan {
  const old = new Map(before.entries.map((entry) => [entry.setting.key, entry]));
  const hasChanged = ({ setting, value }: SettingEntry) => !isDeepStrictEqual(old.get(setting.key)?.value, value);
  const needsRestart = ({ setting }: SettingEntry) => setting.setting.reload === "restart";
  const changed = after.entries.filter(hasChanged);
  const waiting = changed.filter(needsRestart);
  const entries = after.entries.map((entry) =>
    waiting.includes(entry) ? (old.get(entry.setting.key) ?? entry) : entry,
  );
  return Object.freeze({
    inForce: { ...after, entries, config: withOld(after.config, before.config, waiting) },
    applied: changed.filter((entry) => !needsRestart(entry)).map(({ setting }) => setting.key),
    waiting: waiting.map(({ setting }) => setting.key),
  });
}

function withOld(after: Config, before: Config, waiting: readonly SettingEntry[]): Config {
  const config = structuredClone(after) as unknown as Record<string, unknown>;
  const previous = before as unknown as Record<string, unknown>;
  for (const { setting } of waiting) {
    const { section, name } = setting;
    if (section === "") keep(config, previous, name);
    else keep(config[section] as Record<string, unknown>, previous[section] as Record<string, unknown>, name);
  }
  // No setting of its own: it follows from the preset and from variables, which a restart alone can change.
  return Object.freeze({ ...config, production: before.production }) as Config;
}

function keep(to: Record<string, unknown>, from: Readonly<Record<string, unknown>>, name: string): void {
  if (name in from) to[name] = from[name];
  else delete to[name];
}
