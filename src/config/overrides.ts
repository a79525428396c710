import { closest } from "../vm/closest.ts";
import type { FieldProblem } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { Uid } from "../vm/size.ts";
import { catalogue, type GeneralValues, type NamedSetting, type SectionValues } from "./catalogue.ts";
import type { Given } from "./origin.ts";

/** A caller gives paths and ids plain; they are checked with everything else. */
type Plain<Values> = {
  readonly [Name in keyof Values]?: Values[Name] extends HostPath | undefined
    ? string
    : Values[Name] extends Uid | undefined
      ? number
      : Values[Name];
};

/** Settings that a caller gives itself: they go before everything else. */
export type ConfigOverrides = Plain<GeneralValues> & {
  readonly [Section in keyof SectionValues]?: Plain<SectionValues[Section]>;
} & {
  /** Production's rules, also where the environment does not ask for them; they can not be asked away. */
  readonly production?: boolean;
  readonly searchPath?: string;
  readonly color?: boolean;
  /** The configuration file, in place of the one that WARDER_CONFIG names, or of /etc/warder/warder.toml. */
  readonly configFile?: string;
  /** Settings as text, by their names in the file: `{ "server.port": "9090" }`. */
  readonly set?: Readonly<Record<string, string>>;
};

/** What a caller gives for a setting. */
export function givenByCaller({ section, name, path, key }: NamedSetting, overrides: ConfigOverrides): Given[] {
  const table = (section === "" ? overrides : memberOf(overrides, section)) as Readonly<Record<string, unknown>>;
  const typed = memberOf(table, name);
  const text = memberOf(overrides.set, key);
  return [
    ...(typed === undefined ? [] : [{ value: typed, origin: "flag" as const, where: () => path }]),
    ...(text === undefined ? [] : [{ value: text, origin: "flag" as const, where: () => `--set ${key}` }]),
  ];
}

/** Names that a caller gives and that are no settings. */
export function unknownOverrides({ set = {} }: ConfigOverrides): FieldProblem[] {
  const keys = catalogue.map(({ key }) => key);
  return Object.keys(set)
    .filter((key) => !keys.includes(key))
    .map((key) => {
      const meant = closest(key, keys);
      const problem = meant === undefined ? "is no setting" : `is no setting. Did you mean ${meant}?`;
      return { field: `--set ${key}`, problem };
    });
}

function memberOf(table: object | undefined, name: string): unknown {
  return table !== undefined && Object.hasOwn(table, name) ? (table as Record<string, unknown>)[name] : undefined;
}
