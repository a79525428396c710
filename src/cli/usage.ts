import type { ConfigOverrides } from "../config/config.ts";
import { closest } from "../vm/closest.ts";
import { type FieldProblem, isWarderError, WarderError } from "../vm/error.ts";
import { longName } from "./flags.ts";
import { globalFlags } from "./global-flags.ts";
import { isFlag } from "./operands.ts";

/**
 * Refuses a command line with everything that is wrong with it, the settings that it and the environment give included.
 *
 * @throws {@link WarderError} `invalid-argument`, or `invalid-config` where only settings are wrong.
 */
export async function refuseUsage(
  problems: readonly FieldProblem[],
  overrides: ConfigOverrides,
  command: string,
): Promise<void> {
  const settings = await settingProblems(overrides, problems);
  if (problems.length > 0) throw usageError([...problems, ...settings], command);
  if (settings.length === 0) return;
  throw new WarderError("invalid-config", {
    doing: "reading the configuration",
    why: settings.length === 1 ? "one setting is wrong" : `${settings.length} settings are wrong`,
    fields: settings,
  });
}

/** A command line that can not be understood. */
export function usageError(fields: readonly FieldProblem[], command: string): WarderError {
  return new WarderError("invalid-argument", {
    doing: `reading the command line of ${command}`,
    why: fields.length === 1 ? "one argument is wrong" : `${fields.length} arguments are wrong`,
    fields,
    cure: `See \`warder ${command} --help\``,
  });
}

/** Flags that nobody knows, with the one that each was probably meant to be. */
export function unknownFlags(args: readonly string[], known: readonly string[]): FieldProblem[] {
  return args.filter((each) => isFlag(each) && each !== "--").map((each) => unknownFlag(each, known));
}

function unknownFlag(given: string, known: readonly string[]): FieldProblem {
  const field = given.replace(/=.*$/s, "");
  const meant = closest(field, known);
  return { field, problem: meant === undefined ? "is not known" : `is not known. Did you mean ${meant}?` };
}

/** Settings by the names that the command line gives them. Loaded late: a command line's own errors need none of it. */
async function settingProblems(
  overrides: ConfigOverrides,
  told: readonly FieldProblem[],
): Promise<readonly FieldProblem[]> {
  const { openThisMachine } = await import("../lifecycle/this-machine.ts");
  try {
    openThisMachine(overrides);
    return [];
  } catch (error) {
    if (!isWarderError(error)) throw error;
    const named = error.fields.map(({ field, problem }) => ({ field: settingName(field), problem }));
    return named.filter(({ field }) => !told.some((each) => each.field === field));
  }
}

/** The flag of a setting; what has none was named by its variable in the environment already. */
export function settingName(setting: string): string {
  const flag = Object.entries(globalFlags).find(([name]) => name === setting)?.[1];
  return flag === undefined ? setting : longName(flag);
}
