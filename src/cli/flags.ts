import { type Command, Option } from "commander";
import type { FieldProblem } from "../vm/error.ts";

/** What a flag's text came to. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/** Makes a value of a flag's text, or says what is wrong with it as a clause: `must be a whole number`. */
export type Parser<T> = (text: string) => Parsed<T>;

interface FlagWords {
  /** As commander takes it: `-q, --quiet` or `--memory <MiB>`. */
  readonly syntax: string;
  readonly help: string;
  /** Heading in the help. */
  readonly group?: string;
}

/** A flag that is there or not. */
export interface Toggle extends FlagWords {
  readonly kind: "toggle";
}

/** A flag with a value; given twice, the last one counts. */
export interface ValueFlag<T> extends FlagWords {
  readonly kind: "value";
  readonly parse: Parser<T>;
}

/** A flag with a value that may be given several times. */
export interface ListFlag<T> extends FlagWords {
  readonly kind: "list";
  readonly parse: Parser<T>;
}

/** Any flag. */
export type Flag = Toggle | ValueFlag<unknown> | ListFlag<unknown>;

/** A command's flags by the names that its code uses. */
export type FlagTable = Readonly<Record<string, Flag>>;

/** What the flags of a table came to; a flag that was not given, or is wrong, is absent. */
export type FlagValues<Table extends FlagTable> = {
  readonly [Name in keyof Table]?: Table[Name] extends ListFlag<infer T>
    ? readonly T[]
    : Table[Name] extends ValueFlag<infer T>
      ? T
      : true;
};

/** A flag without a value. */
export function toggle(syntax: string, help: string): Toggle {
  return { kind: "toggle", syntax, help };
}

/** A flag with a value. */
export function value<T>(syntax: string, parse: Parser<T>, help: string): ValueFlag<T> {
  return { kind: "value", syntax, parse, help };
}

/** A flag with a value that may be repeated. */
export function list<T>(syntax: string, parse: Parser<T>, help: string): ListFlag<T> {
  return { kind: "list", syntax, parse, help };
}

/** The same flags under a heading in the help. */
export function grouped<Table extends FlagTable>(group: string, flags: Table): Table {
  const entries = Object.entries(flags).map(([name, flag]) => [name, { ...flag, group }]);
  return Object.fromEntries(entries) as Table;
}

/** The name that users know a flag by: `--memory`. */
export function longName({ syntax }: Flag): string {
  return /--[a-z-]+/.exec(syntax)?.[0] ?? syntax;
}

/** Tells commander of flags. It keeps texts alone: reading them here finds everything that is wrong at once. */
export function addFlags(command: Command, flags: FlagTable): void {
  for (const flag of Object.values(flags)) command.addOption(toOption(flag));
}

/** Reads what commander kept. */
export function readFlags<Table extends FlagTable>(
  command: Command,
  flags: Table,
): { readonly values: FlagValues<Table>; readonly problems: readonly FieldProblem[] } {
  const problems: FieldProblem[] = [];
  const values: Record<string, unknown> = {};
  const given = command.opts<Record<string, unknown>>();
  for (const [name, flag] of Object.entries(flags)) {
    const option = toOption(flag);
    const found = given[option.attributeName()];
    if (flag.kind === "toggle") {
      if (found === !option.negate) values[name] = true;
      continue;
    }
    const read = readTexts(flag, (found ?? []) as readonly string[]);
    problems.push(...read.problems);
    if (read.values.length > 0) values[name] = flag.kind === "list" ? read.values : read.values.at(-1);
  }
  return { values: values as FlagValues<Table>, problems };
}

function readTexts(
  flag: ValueFlag<unknown> | ListFlag<unknown>,
  texts: readonly string[],
): { values: unknown[]; problems: FieldProblem[] } {
  const parsed = (flag.kind === "list" ? texts : texts.slice(-1)).map((text) => ({ text, ...flag.parse(text) }));
  return {
    values: parsed.flatMap((each) => ("value" in each ? [each.value] : [])),
    problems: parsed.flatMap((each) =>
      "problem" in each
        ? [{ field: longName(flag), problem: `${each.problem}, not ${JSON.stringify(each.text)}` }]
        : [],
    ),
  };
}

function toOption(flag: Flag): Option {
  const option = new Option(flag.syntax, flag.help);
  if (flag.kind !== "toggle") {
    option.argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), text]);
  }
  return flag.group === undefined ? option : option.helpGroup(flag.group);
}
