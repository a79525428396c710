import type { DoctorReport, Finding, FindingStatus } from "../../doctor/report.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { toggle } from "../flags.ts";
import { formatDuration } from "../format.ts";
import type { Interruption } from "../interruption.ts";
import { examine } from "../manager/open.ts";
import { Progress } from "../progress.ts";
import { harmless, paint, printJson, printLine, printTable, type Terminal, type Tone } from "../terminal.ts";

/** `warder doctor`, parsed. */
export interface DoctorRequest extends CommonRequest {
  /** Jail and run the built-in guest. */
  readonly probe: boolean;
}

export const doctorCommand = defineCommand({
  flags: { probe: toggle("--probe", "jail, run and end the built-in guest as well, and measure KVM's speed") },
  details:
    "Exit status 0: VMs can be jailed here, warnings or not. 1: they can not; each problem has its cure.\n" +
    "Nothing is changed, and what is made to try things is removed.",
  examples: [
    ["warder doctor", "Look"],
    ["warder doctor --probe", "Look, and try it"],
    [`warder doctor --json | jq '.findings[] | select(.status == "problem")'`, "What is wrong, for a program"],
  ],
  parse: ({ flags, common }): DoctorRequest => ({ ...common, probe: flags.probe === true }),
  execute: doctor,
});

/** Examines this host. */
export async function doctor(
  request: DoctorRequest,
  terminal: Terminal,
  { signal }: Pick<Interruption, "signal">,
): Promise<number> {
  const report = await look(request, terminal, signal);
  if (request.json) printJson(terminal, report);
  else printReport(terminal, report);
  return report.canJail ? 0 : 1;
}

async function look(request: DoctorRequest, terminal: Terminal, signal: AbortSignal) {
  using progress = new Progress(terminal, "examining this host");
  const onFinding = ({ title }: Finding) => progress.update(`examining this host (last: ${title})`);
  return await examine(request, { signal, probe: request.probe, onFinding });
}

const tones: Readonly<Record<FindingStatus, Tone>> = { ok: "good", warning: "warn", problem: "bad", skipped: "dim" };

/** Everything in one table; what is wrong once more below it, with what to do. */
function printReport(terminal: Terminal, { canJail, findings, durationMs }: DoctorReport): void {
  const rows = findings.map(({ status, title, found }) => {
    return [paint(terminal.stdout, tones[status], status), title, harmless(found)];
  });
  printTable(terminal, ["STATUS", "CHECK", "FOUND"], rows);
  for (const finding of findings) if (finding.cause !== undefined) printCure(terminal, finding);
  const verdict = canJail
    ? paint(terminal.stdout, "good", "VMs can be jailed here")
    : paint(terminal.stdout, "bad", "VMs can not be jailed here");
  const count = (status: FindingStatus) => findings.filter((each) => each.status === status).length;
  const counts = `${count("problem")} problems, ${count("warning")} warnings, ${count("ok")} fine, ${count("skipped")} skipped`;
  printLine(terminal, `\n${verdict}: ${counts}, ${formatDuration(durationMs)}`);
}

function printCure(terminal: Terminal, { status, code, title, found, cause, cure }: Finding): void {
  printLine(terminal, `\n${paint(terminal.stdout, tones[status], `${status}: ${title}`)} [${code}]`);
  for (const line of [found, cause, cure]) {
    if (line !== undefined) printLine(terminal, `  ${harmless(line)}`);
  }
}
