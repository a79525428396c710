import type { FieldProblem } from "../vm/error.ts";
import type { NamedSetting } from "./catalogue.ts";
import type { Environment, Given, SettingOrigin } from "./origin.ts";
import type { Preset } from "./setting.ts";

/** What a setting is where nobody says anything. */
export interface Unasked {
  readonly preset?: Preset;
  readonly environment: Environment;
}

/** One setting in force. */
export interface SettingEntry {
  readonly setting: NamedSetting;
  /** Absent where there is none. */
  readonly value: unknown;
  readonly origin: SettingOrigin;
  /** Where exactly, as {@link Given.where} says; empty for a default. */
  readonly where: () => string;
}

/** What became of a setting: what is in force, and what is wrong with all that was given for it. */
export interface SettingReading {
  readonly entry: SettingEntry;
  readonly problems: readonly FieldProblem[];
}

const SHOWN_CHARACTERS = 120;

/**
 * Chooses a setting's value: the first that was given, else the preset's, else the default. Each value that was given
 * is checked, also one that a nearer source overrules, as it would come into force on the day that one goes.
 */
export function readSetting(named: NamedSetting, given: readonly Given[], otherwise: Unasked): SettingReading {
  const readings = given.map((each) => ({ each, parsed: named.setting.schema.safeParse(each.value) }));
  const problems = readings.flatMap(({ each, parsed }) => {
    if (parsed.success) return [];
    const words = parsed.error.issues[0]?.message ?? "is wrong";
    return [{ field: fieldOf(named, each), problem: `${words}, not ${shown(named, each.value)}` }];
  });
  const first = readings[0];
  if (first === undefined) return { entry: unasked(named, otherwise), problems };
  const { origin, where } = first.each;
  return { entry: { setting: named, value: first.parsed.data, origin, where }, problems };
}

/** What a message calls a setting: as who gave it wrote it, and where that stands if it has no name of its own. */
export function fieldOf({ key }: NamedSetting, { origin, where }: Pick<SettingEntry, "origin" | "where">): string {
  if (origin === "default") return key;
  return origin === "file" || origin === "preset" ? `${key} (${where()})` : where();
}

function unasked(named: NamedSetting, { preset, environment }: Unasked): SettingEntry {
  const { presets = {}, fallback, fallbackFrom } = named.setting;
  if (preset !== undefined && preset in presets) {
    return { setting: named, value: presets[preset], origin: "preset", where: () => `preset ${preset}` };
  }
  const value = fallbackFrom === undefined ? fallback : fallbackFrom(environment);
  return { setting: named, value, origin: "default", where: () => "" };
}

function shown({ setting }: NamedSetting, value: unknown): string {
  if (setting.isSecret === true) return "what it says (it is secret)";
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
