import { Command, type HelpConfiguration } from "commander";
import type { CliCommand } from "./command.ts";
import { commandList, type ListedCommand } from "./command-list.ts";
import { addFlags, type FlagTable } from "./flags.ts";
import { globalFlags } from "./global-flags.ts";
import { programDetails } from "./help-text.ts";
import { formatTable, type Terminal } from "./terminal.ts";
import { warderVersion } from "./version.ts";

/** Called with the command that was asked for, once commander has read its flags. */
export type OnCommand = (called: {
  readonly program: Command;
  readonly command: Command;
  readonly cliCommand: CliCommand;
}) => Promise<void>;

/** Wide enough for tables, narrow enough for a terminal beside another one. */
const HELP_WIDTH = 110;

/** A command's usage stands in its own help; here its name is enough. Options come last: the commands matter more. */
const help: HelpConfiguration = { subcommandTerm: (command) => command.name(), visibleOptions: () => [] };

/** The program as commander knows it. A command's flags are added when it is asked for, from its own module. */
export function buildProgram(terminal: Terminal, onCommand: OnCommand): Command {
  const program = new Command("warder")
    .description("Runs Firecracker microVMs in jails whose every control is read back from the kernel.")
    .usage("COMMAND [options]")
    .version(`warder ${warderVersion}`, "-V, --version", "print Warder's version")
    .helpOption("-h, --help", "print this help, or a command's")
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp(help)
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      // Told like every other error, by whoever catches it.
      outputError: () => undefined,
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => terminal.stdout.color,
      getErrHasColors: () => terminal.stderr.color,
    })
    .addHelpText("after", () => `\n${programDetails}\n\n${formatFlags(globalFlags)}`);
  addFlags(program, globalFlags);
  addCommands(program, onCommand);
  return program;
}

/** Flags as commander shows them. */
function formatFlags(flags: FlagTable): string {
  const [first] = Object.values(flags);
  const rows = Object.values(flags).map(({ syntax, help: text }) => [`  ${syntax}`, text]);
  return [first?.group ?? "", ...formatTable(rows[0] ?? [], rows.slice(1))].join("\n");
}

/** Stands beside the list, of which it tells the shells. */
const completion: ListedCommand = {
  name: "completion",
  summary: "a script that makes a shell complete commands, flags and ids",
  group: "Look after this machine:",
  load: async () => (await import("./commands/completion.ts")).completionCommand(commandList),
};

function addCommands(program: Command, onCommand: OnCommand): void {
  const loaders = new Map<Command, () => Promise<void>>();
  for (const { name, summary, group, load } of [...commandList, completion]) {
    const command = program
      .command(name, { hidden: group === undefined })
      .description(summary)
      .configureHelp({});
    if (group !== undefined) command.helpGroup(group);
    loaders.set(command, async () => {
      const cliCommand = await load();
      cliCommand.configure(command);
      command.action(() => onCommand({ program, command, cliCommand }));
    });
  }
  program.hook("preSubcommand", (_program, command) => loaders.get(command)?.());
}
