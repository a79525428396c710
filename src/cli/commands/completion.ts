import { Command } from "commander";
import { type CliCommand, type CommonRequest, defineCommand } from "../command.ts";
import type { ListedCommand } from "../command-list.ts";
import { bashScript, type CompletedCommand, fishScript, zshScript } from "../completion-scripts.ts";
import { oneOf } from "../flag-parsers.ts";
import { printJson, type Terminal } from "../terminal.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type Shell = keyof typeof scripts;

/** `warder completion`, parsed. */
export interface CompletionRequest extends CommonRequest {
  readonly shell: Shell;
}

/** The command, for a list of all others. */
export function completionCommand(list: readonly ListedCommand[]): CliCommand {
  return defineCommand({
    operands: { name: "SHELL", count: "one", help: "bash, zsh or fish" },
    flags: {},
    examples: [
      ["source <(warder completion bash)", "For this shell; for every one, write it to /etc/bash_completion.d/warder"],
      ["warder completion fish > ~/.config/fish/completions/warder.fish", "For fish"],
    ],
    parse({ operands, common, refuse }): CompletionRequest {
      const [given = ""] = operands;
      const shell = oneOf<Shell>("bash", "zsh", "fish")(given);
      if ("problem" in shell && given !== "") refuse("SHELL", `${shell.problem}, not ${JSON.stringify(given)}`);
      return { ...common, shell: "value" in shell ? shell.value : "bash" };
    },
    execute: (request, terminal) => completion(request, terminal, list),
  });
}

/** Prints a shell's script. */
export async function completion(
  { shell, json }: CompletionRequest,
  terminal: Terminal,
  list: readonly ListedCommand[],
): Promise<number> {
  const forPeople = list.filter(({ group }) => group !== undefined);
  const script = scripts[shell](await Promise.all(forPeople.map(describe)));
  if (json) printJson(terminal, { shell, script });
  else terminal.stdout.write(script);
  return 0;
}

/** What commander knows of a command, once it is configured. */
async function describe({ name, summary, load }: ListedCommand): Promise<CompletedCommand> {
  const command = new Command(name);
  (await load()).configure(command);
  const flags = command.options.flatMap(({ long, short, required, description }) => {
    return long === undefined
      ? []
      : [{ long, ...(short === undefined ? {} : { short }), takesValue: required, description }];
  });
  return { name, summary, flags, takesIds: command.registeredArguments.some((each) => each.name() === "ID") };
}
