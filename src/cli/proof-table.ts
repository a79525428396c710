import type { Control } from "../vm/isolation.ts";
import type { VmView } from "../vm/view.ts";
import { formatTable, harmless, paint, printLine, type Terminal } from "./terminal.ts";

/** Most characters of a value in the table; the whole stands in `--json`. */
const VALUE_WIDTH = 60;

/** Prints how isolated a VM is: each control wanted beside found. */
export function printProof(terminal: Terminal, view: VmView): void {
  const { isolation } = view;
  if (isolation === null) return;
  printLine(terminal);
  for (const line of formatTable(
    ["CONTROL", "WANTED", "FOUND", ""],
    isolation.controls.map((each) => row(terminal, each)),
  )) {
    printLine(terminal, line);
  }
  const tone = isolation.level === "proven" ? "good" : isolation.level === "partial" ? "warn" : "bad";
  const proven = isolation.controls.filter(({ ok }) => ok).length;
  printLine(
    terminal,
    paint(terminal, tone, `${isolation.level}: ${proven} of ${isolation.controls.length} controls are as asked`),
  );
  for (const gap of isolation.gaps) printLine(terminal, paint(terminal, "bad", `gap: ${harmless(gap)}`));
  printLine(terminal);
}

function row(terminal: Terminal, { name, wanted, found, ok }: Control): string[] {
  return [name, shorten(wanted), shorten(found), ok ? paint(terminal, "good", "ok") : paint(terminal, "bad", "GAP")];
}

function shorten(value: string): string {
  const shown = harmless(value).replaceAll("\n", " ");
  return shown.length <= VALUE_WIDTH ? shown : `${shown.slice(0, VALUE_WIDTH - 1)}…`;
}

/** Prints how long each step of the start took. */
export function printTimings(terminal: Terminal, { timings }: VmView): void {
  const rows = Object.entries(timings).map(([step, ms]) => [
    step.replace(/Ms$/, ""),
    `${ms.toFixed(2).padStart(8)} ms`,
  ]);
  for (const line of formatTable(["STEP", "TIME"], rows)) printLine(terminal, line);
}
