import type { Warder, WarderOptions } from "../lifecycle/warder.ts";
import type { CommonRequest } from "./command.ts";
import { formatDetails } from "./format-details.ts";
import { reviveMonitors } from "./revive.ts";
import { harmless, paint, printNote, type Terminal } from "./terminal.ts";

/** What hears what happens. */
type Reporter = NonNullable<WarderOptions["reporter"]>;

/** How a command opens the host. */
export type OpenOptions = Pick<WarderOptions, "reconcile" | "prepareStarts">;

/**
 * Opens the host for a command. Loaded late, so that what needs no host, such as `--help`, does not wait for it. Only
 * what starts VMs has anything prepared for starts.
 */
export async function openWarder(
  { overrides }: CommonRequest,
  terminal: Terminal,
  options: OpenOptions = {},
): Promise<Warder> {
  const { Warder } = await import("../lifecycle/warder.ts");
  const reporter = await terminalReporter(terminal, overrides);
  const warder = await Warder.open({ role: "visitor", prepareStarts: false, ...overrides, reporter, ...options });
  if (options.reconcile !== false) await reviveMonitors(warder, { overrides });
  return warder;
}

/** Warnings go to standard error; so do notes, where they were asked for. */
async function terminalReporter(terminal: Terminal, overrides: CommonRequest["overrides"]): Promise<Reporter> {
  const { openThisMachine } = await import("../lifecycle/this-machine.ts");
  const { config, loaded } = openThisMachine(overrides);
  const { origin } = loaded.entries.find(({ setting }) => setting.name === "logLevel") ?? { origin: "default" };
  // A command is not a service: unless it is asked to, it does not tell what goes as it should.
  const level = origin === "default" ? "warn" : config.logLevel;
  const say = (tone: "warn" | "dim", word: string, message: string, details: Readonly<Record<string, unknown>>) =>
    printNote(terminal, `warder: ${paint(terminal.stderr, tone, word)}: ${harmless(message)}${formatDetails(details)}`);
  return {
    warn: (message, details) => {
      if (level !== "error" && level !== "silent") say("warn", "warning", message, details);
    },
    note: (message, details) => {
      if (level === "info" || level === "debug") say("dim", "note", message, details);
    },
  };
}
