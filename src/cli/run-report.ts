import type { VmView } from "../vm/view.ts";
import type { ConsoleView } from "./console-view.ts";
import { formatBytes, formatDuration, formatExit } from "./format.ts";
import { printProof, printTimings, verdict } from "./proof-table.ts";
import type { RunRequest } from "./run-request.ts";
import { harmless, paint, printLine, printNote, type Terminal } from "./terminal.ts";

type Wishes = Pick<RunRequest, "json" | "quiet" | "proof" | "spec" | "detach">;

/**
 * Tells that a VM runs, and how it was proven: in one line on standard error or, where that was asked for, control by
 * control. The built-in guest lives for a moment only, so the table waits for its end and stays in one piece.
 */
export function tellStart(view: VmView, wishes: Wishes, terminal: Terminal, console?: ConsoleView): void {
  if (wishes.quiet || (isTableWanted(wishes) && !isNow(wishes))) return;
  console?.breakLine();
  if (isTableWanted(wishes)) printProof(terminal, view, tableOutput(wishes, terminal));
  else {
    printNote(terminal, verdict(view, terminal.stderr));
    for (const gap of view.isolation?.gaps ?? []) printNote(terminal, `  gap: ${harmless(gap)}`);
  }
}

/** Tells how a VM ended, and what it was concluded from where that was not by itself. */
export function tellEnd(view: VmView, wishes: Wishes, terminal: Terminal, console: ConsoleView): void {
  const { exit } = view;
  if (exit === undefined) return;
  if (wishes.quiet) return;
  if (isTableWanted(wishes) && !isNow(wishes)) {
    printLine(terminal);
    printProof(terminal, view);
  }
  if (isTableWanted(wishes)) {
    printLine(terminal);
    printTimings(terminal, view);
    printLine(terminal);
  }
  const tone = exit.cause === "guest-ended" || exit.cause === "stopped" ? "good" : "bad";
  const ran = formatDuration(exit.at - Date.parse(view.startedAt ?? view.createdAt));
  printNote(terminal, `${view.id} ended after ${ran}: ${paint(terminal.stderr, tone, formatExit(exit))}`);
  if (tone === "bad") for (const line of exit.evidence) printNote(terminal, `  ${harmless(line)}`);
  if (console.droppedBytes > 0) {
    const dropped = formatBytes(console.droppedBytes);
    printNote(terminal, `warder: ${dropped} of the console were not shown, as nobody read them in time`);
  }
}

/** In JSON the controls are in the document. */
function isTableWanted({ proof, json }: Wishes): boolean {
  return proof && !json;
}

function isNow({ spec, detach }: Wishes): boolean {
  return detach || spec.kernel !== "probe";
}

/** Standard output has the id alone where the VM stays in the background. */
function tableOutput({ detach }: Wishes, terminal: Terminal) {
  return detach ? terminal.stderr : terminal.stdout;
}
