import type { Command } from "commander";
import type { ConfigOverrides } from "../config/config.ts";
import type { FieldProblem } from "../vm/error.ts";
import { addFlags, type FlagTable, type FlagValues, longName, readFlags } from "./flags.ts";
import { globalFlags, toOverrides } from "./global-flags.ts";
import type { Interruption } from "./interruption.ts";
import { addOperands, type Operands, readOperands } from "./operands.ts";
import type { Terminal } from "./terminal.ts";
import { refuseUsage, unknownFlags } from "./usage.ts";

/** What every command is asked beside its own. */
export interface CommonRequest {
  readonly json: boolean;
  /** Settings given as flags: they go before the environment. */
  readonly overrides: ConfigOverrides;
}

/** What a command was called with, on its way to a request. */
export interface CommandInput<Flags extends FlagTable> {
  readonly flags: FlagValues<Flags>;
  readonly operands: readonly string[];
  readonly common: CommonRequest;
  /** Notes something wrong; all of it is told at once. */
  refuse(field: string, problem: string): void;
}

/** One command: its words, how its flags become a request, and what it does. */
export interface CommandSyntax<Flags extends FlagTable, Request> {
  readonly operands?: Operands;
  readonly flags: Flags;
  /** Paragraphs below the flags. */
  readonly details?: string;
  /** Command lines, and what each is for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  readonly parse: (input: CommandInput<Flags>) => Request | Promise<Request>;
  /** Does it; resolves with the exit status. */
  readonly execute: (request: Request, terminal: Terminal, interruption: Interruption) => Promise<number>;
}

/** What commander has read of a command line. */
export interface CommandLine {
  readonly command: Command;
  /** Holds what stood before the command's name. */
  readonly program: Command;
  /** What is known to be wrong already. */
  readonly problems: readonly FieldProblem[];
}

/** A command as the program sees it. */
export interface CliCommand {
  /** Tells commander the command's words. */
  configure(command: Command): void;
  /** Reads what commander has found, refuses all that is wrong with it at once, and runs the command. */
  invoke(line: CommandLine, terminal: Terminal, interruption: Interruption): Promise<number>;
}

/** Makes a command out of its syntax. */
export function defineCommand<Flags extends FlagTable, Request>(syntax: CommandSyntax<Flags, Request>): CliCommand {
  return {
    configure: (command) => configure(command, syntax),
    async invoke(line, terminal, interruption) {
      const { input, problems } = readInput(line, syntax);
      const request = await syntax.parse(input);
      await refuseUsage(problems, input.common.overrides, line.command.name());
      return syntax.execute(request, terminal, interruption);
    },
  };
}

function configure<Flags extends FlagTable, Request>(command: Command, syntax: CommandSyntax<Flags, Request>): void {
  addOperands(command, syntax.operands);
  addFlags(command, syntax.flags);
  addFlags(command, globalFlags);
  // Both are looked for here, with everything else that is wrong; commander would stop at the first.
  command.allowUnknownOption().allowExcessArguments();
  if (syntax.details !== undefined) command.addHelpText("after", `\n${syntax.details}`);
  const examples = syntax.examples.map(([line, purpose]) => `  # ${purpose}\n  $ ${line}`);
  command.addHelpText("after", `\nExamples:\n${examples.join("\n")}`);
}

/** `problems` grows as `parse` refuses more. */
function readInput<Flags extends FlagTable, Request>(
  { command, program, problems: known }: CommandLine,
  syntax: CommandSyntax<Flags, Request>,
): { input: CommandInput<Flags>; problems: FieldProblem[] } {
  const table = { ...syntax.flags, ...globalFlags };
  const unknown = unknownFlags(command.args, Object.values(table).map(longName));
  const own = readFlags(command, syntax.flags);
  // Global flags may stand before the command's name and behind it; the one behind it counts.
  const outer = readFlags(program, globalFlags);
  const inner = readFlags(command, globalFlags);
  const globals = { ...outer.values, ...inner.values };
  const operands = readOperands(command.args, syntax.operands, unknown.length > 0);
  const problems = [known, unknown, operands.problems, own.problems, outer.problems, inner.problems].flat();
  const input: CommandInput<Flags> = {
    flags: own.values,
    operands: operands.values,
    common: { json: globals.json === true, overrides: toOverrides(globals) },
    refuse: (field, problem) => void problems.push({ field, problem }),
  };
  return { input, problems };
}
