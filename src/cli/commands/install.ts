import type { Step, StepKind } from "../../setup/service/step.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { path } from "../flag-parsers.ts";
import { toggle, value } from "../flags.ts";
import type { Interruption } from "../interruption.ts";
import { harmless, paint, printJson, printLine, printNote, type Terminal, type Tone } from "../terminal.ts";

/** `warder install`, parsed. */
export interface InstallCommandRequest extends CommonRequest {
  readonly isDryRun: boolean;
  readonly isToGo: boolean;
  readonly root?: string;
}

export const installCommand = defineCommand({
  flags: {
    dryRun: toggle("--dry-run", "say what would be done, and do nothing"),
    uninstall: toggle("--uninstall", "remove the service; VMs go on, and state, jails and settings stay"),
    root: value("--root <dir>", path, "install into the image of a system that lies there"),
  },
  details:
    "Puts the systemd unit, the accounts (jailer, warder), the directories and a first /etc/warder/warder.toml in place.\n" +
    "Safe to repeat: what is as it should be is left alone. Nothing is started.",
  examples: [
    ["warder install --dry-run", "What would be done"],
    ["warder install && systemctl enable --now warder", "Install the daemon, and start it"],
    ["warder install --uninstall", "Remove it again"],
  ],
  parse: ({ flags, common }): InstallCommandRequest => ({
    ...common,
    isDryRun: flags.dryRun === true,
    isToGo: flags.uninstall === true,
    ...(flags.root === undefined ? {} : { root: flags.root }),
  }),
  execute: install,
});

/** Puts the service in place, or removes it. */
export async function install(
  request: InstallCommandRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const [{ planService }, { applySteps }, { toHostPath }] = await Promise.all([
    import("../../lifecycle/install-service.ts"),
    import("../../setup/service/step.ts"),
    import("../../vm/path.ts"),
  ]);
  const target = request.root === undefined ? {} : { root: toHostPath(request.root) };
  const steps = await planService(request.overrides, { ...target, isToGo: request.isToGo });
  if (!request.isDryRun) await applySteps(steps, signal);
  if (request.json) printJson(terminal, { dryRun: request.isDryRun, steps: steps.map(toDocument) });
  else for (const step of steps) printLine(terminal, toLine(step, terminal));
  if (!request.json && !request.isToGo) printNote(terminal, nextStep(request));
  return 0;
}

function toDocument({ kind, what, why }: Step): Record<string, unknown> {
  return { kind, what, ...(why === undefined ? {} : { why }) };
}

const tones: Readonly<Partial<Record<StepKind, Tone>>> = {
  create: "good",
  replace: "warn",
  remove: "warn",
  run: "good",
};

function toLine({ kind, what, why }: Step, terminal: Terminal): string {
  const word = paint(terminal.stdout, tones[kind] ?? "dim", kind.padEnd(9));
  return `${word}  ${harmless(what)}${why === undefined ? "" : ` (${harmless(why)})`}`;
}

function nextStep({ isDryRun }: InstallCommandRequest): string {
  return isDryRun ? "Nothing was done: this was a dry run." : "Start it with `systemctl enable --now warder`.";
}
