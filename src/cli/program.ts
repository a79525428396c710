import { CommanderError } from "commander";
import { type FieldProblem, WarderError } from "../vm/error.ts";
import { buildProgram } from "./build-program.ts";
import { explain, statusOf } from "./explain.ts";
import type { Interruption } from "./interruption.ts";
import type { Terminal } from "./terminal.ts";
import { usageError } from "./usage.ts";

/** The exit status of a command line that can not be understood. */
const USAGE_STATUS = 2;

/**
 * The whole command line: reads it, runs the command, tells what went wrong.
 *
 * @param args - Without the program's own name.
 * @returns The exit status.
 */
export async function runProgram(
  args: readonly string[],
  terminal: Terminal,
  interruption: Interruption,
): Promise<number> {
  try {
    return await parseAndRun(helpAsFlag(args), [], terminal, interruption);
  } catch (error) {
    // Help and version were asked for, and printed.
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof CommanderError && error.code === "commander.help") return USAGE_STATUS;
    explain(terminal, error, isAsked(args, "--json"));
    return statusOf(error);
  }
}

/** Whether a flag stands on the command line, for what must be known before it is read, or where it can not be. */
export function isAsked(args: readonly string[], flag: string): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).includes(flag);
}

/** `warder help run` is `warder run --help`. */
function helpAsFlag(args: readonly string[]): readonly string[] {
  return args[0] === "help" ? [...args.slice(1), "--help"] : args;
}

async function parseAndRun(
  args: readonly string[],
  problems: readonly FieldProblem[],
  terminal: Terminal,
  interruption: Interruption,
): Promise<number> {
  let status = 0;
  const program = buildProgram(terminal, async ({ program, command, cliCommand }) => {
    status = await cliCommand.invoke({ program, command, problems }, terminal, interruption);
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode === 0) throw error;
    if (problems.length > 0) throw usageError(problems, "COMMAND");
    const flag = flagWithoutValue(error);
    if (flag === undefined) throw fromCommander(error);
    // Only the last argument can lack its value. What else is wrong is found in those before it.
    return parseAndRun(args.slice(0, -1), [{ field: flag, problem: "needs a value" }], terminal, interruption);
  }
}

function flagWithoutValue({ code, message }: CommanderError): string | undefined {
  return code === "commander.optionMissingArgument" ? /--[a-z-]+/.exec(message)?.[0] : undefined;
}

/** What commander finds itself: a command that is none, or a flag that is none before the command's name. */
function fromCommander(error: CommanderError): Error {
  if (error.code === "commander.help") return error;
  const [, what = error.message, meant] = /^error: (.*?)(?:\n\(Did you mean (.*)\?\))?$/s.exec(error.message) ?? [];
  return new WarderError("invalid-argument", {
    doing: "reading the command line",
    why: what,
    cure: `${meant === undefined ? "" : `Did you mean \`${meant}\`? `}See \`warder --help\``,
  });
}
