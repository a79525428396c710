/** Variables by their names. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable's value; an empty one counts as none. */
export function variableOf(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === "" ? undefined : value;
}

/** Where a value comes from, the nearest first. */
export type SettingOrigin = "flag" | "environment" | "file" | "preset" | "default";

/** A value as it was given, and where. */
export interface Given {
  readonly value: unknown;
  readonly origin: SettingOrigin;
  /**
   * Where exactly: the setting's name for a flag or another override of the caller's, the variable, the file and line,
   * or the preset. Asked for late, as finding a line takes a while.
   */
  readonly where: () => string;
}
