/**
 * The argument parser that the jailer and Firecracker share: `--name value` only, never `--name=value`; a flag given
 * twice is refused; `--` ends the flags and the rest is passed on untouched.
 */
import { debugString } from "./rust.ts";

/** One flag. */
export interface Flag {
  readonly name: string;
  readonly help: string;
  readonly takesValue?: boolean;
  readonly allowMultiple?: boolean;
  readonly required?: boolean;
  readonly defaultValue?: string;
  readonly requires?: string;
  readonly forbids?: string;
}

/** A command line that was refused, in both of Rust's forms. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";
  readonly debug: string;

  constructor(message: string, variant: string, ...names: readonly string[]) {
    super(message);
    this.debug = `${variant}(${names.map(debugString).join(", ")})`;
  }
}

/** A command line that was accepted. */
export class Arguments {
  readonly #flags: readonly Flag[];
  readonly #values: ReadonlyMap<string, readonly string[]>;
  /** Everything after `--`. */
  readonly extra: readonly string[];

  constructor(flags: readonly Flag[], values: ReadonlyMap<string, readonly string[]>, extra: readonly string[]) {
    this.#flags = flags;
    this.#values = values;
    this.extra = extra;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value given, else the flag's default. */
  value(name: string): string | undefined {
    return this.#values.get(name)?.[0] ?? this.#flags.find((flag) => flag.name === name)?.defaultValue;
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

/** Parses a command line; `--help` and `--version` before `--` win over every mistake around them. */
export function parseArguments(flags: readonly Flag[], argv: readonly string[]): Arguments {
  const end = argv.indexOf("--");
  const own = end === -1 ? argv : argv.slice(0, end);
  const extra = end === -1 ? [] : argv.slice(end + 1);
  if (own.includes("--help") || own.includes("-h")) return new Arguments(flags, new Map([["help", []]]), extra);
  if (own.includes("--version")) return new Arguments(flags, new Map([["version", []]]), extra);
  const values = collect(flags, own);
  checkRelations(flags, values);
  return new Arguments(flags, values, extra);
}

function collect(flags: readonly Flag[], argv: readonly string[]): Map<string, string[]> {
  const values = new Map<string, string[]>();
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const flag = flagNamed(flags, word);
    const earlier = values.get(flag.name);
    if (earlier !== undefined && flag.allowMultiple !== true) throw duplicate(flag.name);
    if (flag.takesValue !== true) {
      values.set(flag.name, []);
      continue;
    }
    const value = rest.shift();
    if (value === undefined || value.startsWith("--")) throw missingValue(flag.name);
    values.set(flag.name, [...(earlier ?? []), value]);
  }
  return values;
}

function flagNamed(flags: readonly Flag[], word: string): Flag {
  const name = word.startsWith("--") ? word.slice(2) : undefined;
  const flag = flags.find((candidate) => candidate.name === name);
  if (flag === undefined) throw unexpected(name ?? word);
  return flag;
}

/** The real parser keeps its flags sorted by name, so the first complaint is the alphabetically first one. */
function checkRelations(flags: readonly Flag[], values: ReadonlyMap<string, unknown>): void {
  for (const flag of sorted(flags)) {
    const given = values.has(flag.name);
    if (flag.required === true && !given) throw missing(flag.name);
    if (given && flag.requires !== undefined && !values.has(flag.requires)) throw missing(flag.requires);
    if (given && flag.forbids !== undefined && values.has(flag.forbids)) throw forbidden(flag.name, flag.forbids);
  }
}

/** The text of `--help`, without the program's name and version. */
export function helpText(flags: readonly Flag[]): string {
  const all = sorted([...flags, { name: "help", help: "Show the help message." }]);
  const required = all.filter((flag) => flag.required === true);
  const optional = all.filter((flag) => flag.required !== true);
  return [
    ...(required.length > 0 ? ["required arguments:", ...helpLines(required), ""] : []),
    "optional arguments:",
    ...helpLines(optional),
  ].join("\n");
}

function helpLines(flags: readonly Flag[]): string[] {
  const heads = flags.map((flag) => (flag.takesValue === true ? `--${flag.name} <${flag.name}>` : `--${flag.name}`));
  const width = Math.max(...heads.map((head) => head.length));
  return flags.map((flag, index) => {
    const suffix = flag.defaultValue === undefined ? "" : ` [default: ${debugString(flag.defaultValue)}]`;
    return `  ${(heads[index] ?? "").padEnd(width)}   ${flag.help}${suffix}`;
  });
}

function sorted(flags: readonly Flag[]): Flag[] {
  return [...flags].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function unexpected(name: string): ArgumentError {
  const message = `Found argument '${name}' which wasn't expected, or isn't valid in this context.`;
  return new ArgumentError(message, "UnexpectedArgument", name);
}

function duplicate(name: string): ArgumentError {
  return new ArgumentError(`The argument '${name}' was provided more than once.`, "DuplicateArgument", name);
}

function missing(name: string): ArgumentError {
  return new ArgumentError(`Argument '${name}' required, but not found.`, "MissingArgument", name);
}

function missingValue(name: string): ArgumentError {
  return new ArgumentError(`The argument '${name}' requires a value, but none was supplied.`, "MissingValue", name);
}

function forbidden(name: string, other: string): ArgumentError {
  const message = `Argument '${other}' cannot be used together with argument '${name}'.`;
  return new ArgumentError(message, "ForbiddenArgument", name, other);
}
