import { type FieldProblem, WarderError } from "../vm/error.ts";
import { askedForProduction, mayColor, searchPathOf, wrongEnvironmentName } from "./ambient.ts";
import { catalogue, type NamedSetting, type SettingValues } from "./catalogue.ts";
import { contradictions, givenInEnvironment, unknownVariables, uselessVariables } from "./environment.ts";
import { type ConfigFile, type FileSource, noFile, readFileSource } from "./file.ts";
import type { Environment, Given } from "./origin.ts";
import { type ConfigOverrides, givenByCaller, unknownOverrides } from "./overrides.ts";
import { fieldOf, readSetting, type SettingEntry, type SettingReading } from "./read-setting.ts";
import { relationNotices, relationProblems, type Together } from "./relations.ts";
import type { Preset } from "./setting.ts";
import { settle } from "./settle.ts";
import type { Config } from "./values.ts";

/** Everything that a configuration is read from. */
export interface ConfigSources {
  readonly overrides: ConfigOverrides;
  /** Default: this process's. */
  readonly environment?: Environment;
  readonly file?: ConfigFile;
}

type AllSources = ConfigSources & Required<Pick<ConfigSources, "environment">>;

/** A configuration with all that can be told about it. */
export interface LoadedConfig {
  readonly config: Config;
  /** Every setting, in the order of the documentation. */
  readonly entries: readonly SettingEntry[];
  /** What is allowed, and still ought to be known to who runs this: a sentence each. */
  readonly notices: readonly string[];
}

/**
 * Reads every setting from every source.
 *
 * @throws {@link WarderError} `invalid-config` with everything that is wrong, each with where it stands.
 */
export function readConfig(given: ConfigSources): LoadedConfig {
  const sources = { environment: process.env, ...given };
  const { overrides, environment } = sources;
  const file = sources.file === undefined ? noFile : readFileSource(sources.file);
  const readings = readSettings(sources, file);
  const together = bringTogether(readings, askedForProduction(overrides, environment).length > 0);
  refuse([
    ...readings.flatMap(({ problems }) => problems),
    ...relationProblems(together),
    ...unnamed(sources, file),
    ...catalogue.flatMap((named) => contradictions(named, environment)),
    ...wrongEnvironmentName(environment),
  ]);
  return Object.freeze({
    config: toConfig(together, sources),
    entries: Object.freeze(together.entries),
    notices: Object.freeze([...relationNotices(together), ...uselessVariables(environment)]),
  });
}

/** The preset is read before the others, as their values depend on it. */
function readSettings({ overrides, environment }: AllSources, file: FileSource): SettingReading[] {
  const given = (named: NamedSetting): Given[] => [
    ...givenByCaller(named, overrides),
    ...givenInEnvironment(named, environment),
    ...file.given(named.key),
  ];
  const [first, ...others] = catalogue as [NamedSetting, ...NamedSetting[]];
  const chosen = readSetting(first, [...given(first), ...askedForProduction(overrides, environment)], { environment });
  const preset = chosen.entry.value as Preset | undefined;
  const otherwise = { environment, ...(preset === undefined ? {} : { preset }) };
  return [chosen, ...others.map((named) => readSetting(named, given(named), otherwise))];
}

/** What is given under a name that no setting has. */
function unnamed({ overrides, environment }: AllSources, file: FileSource): FieldProblem[] {
  return [...unknownOverrides(overrides), ...unknownVariables(environment), ...file.problems];
}

function bringTogether(
  readings: readonly SettingReading[],
  isProductionAsked: boolean,
): Together & { readonly entries: SettingEntry[] } {
  const entries = settle(readings.map(({ entry }) => entry));
  const wrong = new Set(readings.filter(({ problems }) => problems.length > 0).map(({ entry }) => entry.setting.path));
  const values = assemble(entries);
  return {
    entries,
    values,
    isProduction: isProductionAsked || values.preset === "production",
    isWrong: (path) => wrong.has(path),
    field(path) {
      const entry = entries.find(({ setting }) => setting.path === path);
      return entry === undefined ? path : fieldOf(entry.setting, entry);
    },
  };
}

/** The values as the code uses them: an object, with one in it for each section. */
function assemble(entries: readonly SettingEntry[]): SettingValues {
  const values: Record<string, unknown> = {};
  for (const { setting, value } of entries) {
    if (setting.section !== "") values[setting.section] ??= {};
    const table = setting.section === "" ? values : (values[setting.section] as Record<string, unknown>);
    if (value !== undefined) table[setting.name] = value;
  }
  return values as SettingValues;
}

function toConfig({ values, isProduction }: Together, { overrides, environment, file }: AllSources): Config {
  const config = {
    ...values,
    production: isProduction,
    searchPath: searchPathOf(overrides, environment),
    color: mayColor(overrides, environment),
    ...(file === undefined ? {} : { configFile: file.path }),
  };
  return freezeDeep(config as Config);
}

function refuse(problems: readonly FieldProblem[]): void {
  if (problems.length === 0) return;
  throw new WarderError("invalid-config", {
    doing: "reading the configuration",
    why: problems.length === 1 ? "one setting is wrong" : `${problems.length} settings are wrong`,
    fields: problems,
  });
}

function freezeDeep<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  for (const each of Object.values(value)) freezeDeep(each);
  return Object.freeze(value);
}
