import type { Command } from "commander";
import type { FieldProblem } from "../vm/error.ts";

/** What a command takes beside flags. */
export interface Operands {
  /** As the help shows it: `ID`; for operands of different kinds all of them, in their order: `ID PORT [FILE]`. */
  readonly name: string;
  readonly count: "one" | "at most one" | "one or more" | "any number" | "each";
  readonly help: string;
}

const usages: Readonly<Record<Operands["count"], (name: string) => string>> = {
  one: (name) => name,
  "at most one": (name) => `[${name}]`,
  "one or more": (name) => `${name}...`,
  "any number": (name) => `[${name}...]`,
  each: (name) => name,
};

/** Tells commander of operands. It takes any number, so that what is missing is told together with what else is wrong. */
export function addOperands(command: Command, operands: Operands | undefined): void {
  if (operands === undefined) {
    command.usage("[options]");
    return;
  }
  const { name, count, help } = operands;
  command.argument(`[${name}...]`, help).usage(`${usages[count](name)} [options]`);
}

/** Whether an argument is a flag, or was meant to be one. */
export function isFlag(argument: string): boolean {
  return argument.startsWith("-");
}

/**
 * The operands, each once, and what is wrong with their number.
 *
 * @param isUncertain - There is a flag that nobody knows: what stands behind it may be its value, so none is too many.
 */
export function readOperands(
  args: readonly string[],
  operands: Operands | undefined,
  isUncertain: boolean,
): { readonly values: readonly string[]; readonly problems: readonly FieldProblem[] } {
  if (operands?.count === "each") return readEach(args, operands.name.split(" "), isUncertain);
  const values = [...new Set(args.filter((each) => !isFlag(each)))];
  const most = operands === undefined ? 0 : operands.count.endsWith("one") ? 1 : Number.POSITIVE_INFINITY;
  const isMissing = operands?.count.startsWith("one") === true && values.length === 0;
  const missing = isMissing ? [{ field: operands.name, problem: "is needed" }] : [];
  return { values, problems: [...missing, ...(isUncertain ? [] : tooMany(values.slice(most)))] };
}

/** Operands that differ in kind: the same text may stand for two of them. */
function readEach(
  args: readonly string[],
  names: readonly string[],
  isUncertain: boolean,
): ReturnType<typeof readOperands> {
  const values = args.filter((each) => !isFlag(each));
  const missing = names.slice(values.length).filter((name) => !name.startsWith("["));
  return {
    values,
    problems: [
      ...missing.map((field) => ({ field, problem: "is needed" })),
      ...(isUncertain ? [] : tooMany(values.slice(names.length))),
    ],
  };
}

function tooMany(values: readonly string[]): FieldProblem[] {
  return values.map((field) => ({ field, problem: "is one argument too many" }));
}
