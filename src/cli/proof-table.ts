import type { Control, IsolationLevel } from "../vm/isolation.ts";
import type { VmView } from "../vm/view.ts";
import { formatDuration } from "./format.ts";
import { formatTable, harmless, type Output, paint, printTable, type Terminal, type Tone } from "./terminal.ts";

/** Most and least characters of a value in the table, by the room there is; the whole stands in `--json`. */
const VALUE_WIDTH_MAX = 60;
const VALUE_WIDTH_MIN = 16;
/** What the other columns and the gaps between them take. */
const OTHER_WIDTH = 32;

/** A row of the table: a control as it was in both phases, or in one. */
export interface ProofRow extends Omit<Control, "phase"> {
  /** Absent where both phases found the same, or only one looked. */
  readonly phase?: Control["phase"];
}

/**
 * The controls, each once: one that came out the same while Firecracker was held and with the guest running is one row;
 * one that did not is a row for each phase.
 */
export function proofRows(controls: readonly Control[]): ProofRow[] {
  const byName = Map.groupBy(controls, ({ name }) => name);
  return [...byName.values()].flatMap((group) => {
    const [first, ...others] = group;
    if (first === undefined) return [];
    const { phase: _phase, ...row } = first;
    return others.every((other) => isSame(first, other)) ? [row] : group;
  });
}

function isSame(left: Control, right: Control): boolean {
  return left.wanted === right.wanted && left.found === right.found && left.ok === right.ok;
}

/** Prints how isolated a VM is: each control wanted beside found, then the verdict and the gaps. */
export function printProof(terminal: Terminal, view: VmView, output: Output = terminal.stdout): void {
  const { isolation } = view;
  if (isolation === null) return;
  const room = Math.floor((output.columns - OTHER_WIDTH) / 2);
  const width = Math.min(VALUE_WIDTH_MAX, Math.max(VALUE_WIDTH_MIN, room));
  const rows = proofRows(isolation.controls).map((row) => [
    row.phase === undefined ? row.name : `${row.name} (${row.phase})`,
    shorten(row.wanted, width),
    shorten(row.found, width),
    row.ok ? paint(output, "good", "ok") : paint(output, "bad", "GAP"),
  ]);
  printTable(terminal, ["CONTROL", "WANTED", "FOUND", ""], rows, output);
  output.write(`${verdict(view, output)}\n`);
  for (const gap of isolation.gaps) output.write(`${paint(output, "bad", `gap: ${harmless(gap)}`)}\n`);
}

/** `vm-1 proven: 49 of 49 controls, 198 ms` */
export function verdict({ id, isolation, timings }: VmView, output: Output): string {
  const took = timings.totalMs === undefined ? "" : `, ${formatDuration(timings.totalMs)}`;
  if (isolation === null) return `${id} not proven${took}`;
  const { level, controls } = isolation;
  const proven = controls.filter(({ ok }) => ok).length;
  return `${id} ${paint(output, toneOf(level), level)}: ${proven} of ${controls.length} controls${took}`;
}

/** How a level of isolation looks. */
export function toneOf(level: IsolationLevel): Tone {
  return level === "proven" ? "good" : level === "partial" ? "warn" : "bad";
}

function shorten(value: string, width: number): string {
  const shown = harmless(value).replaceAll("\n", " ");
  return shown.length <= width ? shown : `${shown.slice(0, width - 1)}…`;
}

/** Prints how long each step of the start took. */
export function printTimings(terminal: Terminal, { timings }: VmView, output: Output = terminal.stdout): void {
  const rows = Object.entries(timings).map(([step, ms]) => [
    step.replace(/Ms$/, ""),
    `${ms.toFixed(2).padStart(8)} ms`,
  ]);
  for (const line of formatTable(["STEP", "TIME"], rows)) output.write(`${line}\n`);
}
