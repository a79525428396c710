import type { Coverage, Share, SourceCoverage } from "./coverage.ts";

const MOST_FILES = 20;
const MOST_NAMES = 5;

/**
 * The coverage as a whole, what of it could not be read, and, where it is below what is asked for, the sources that lack
 * most, with the lines to look at.
 */
export function coverageLines(coverage: Coverage, leastPercent: number): string[] {
  const { broken, files, processes } = coverage;
  const asked = `at least ${leastPercent} % of each is asked for`;
  return [
    `coverage: ${percentages(coverage)} of src/, from ${processes} processes; ${asked}`,
    ...(broken.length === 0 ? [] : [`coverage: ${brokenText(broken)}`]),
    ...(coverageProblems(coverage, leastPercent).length === 0 ? [] : ["coverage lacks most in:", ...worst(files)]),
  ];
}

/** Why the coverage is not as it should be; empty where it is. */
export function coverageProblems({ lines, branches, processes }: Coverage, leastPercent: number): string[] {
  if (processes === 0) return ["coverage: no process left anything to judge it by"];
  return [...shortage("lines", lines, leastPercent), ...shortage("branches", branches, leastPercent)];
}

function shortage(what: string, share: Share, leastPercent: number): string[] {
  if (percent(share) >= leastPercent) return [];
  const { covered, total } = share;
  const missing = Math.ceil((total * leastPercent) / 100) - covered;
  return [`coverage of ${what} below ${leastPercent} %: ${covered} of ${total} (${missing} more are needed)`];
}

function brokenText(broken: readonly string[]): string {
  const names = [...broken.slice(0, MOST_NAMES), ...(broken.length > MOST_NAMES ? ["…"] : [])].join(", ");
  const files = broken.length === 1 ? "1 file" : `${broken.length} files`;
  return `left out ${files} that a killed process had written half of (${names})`;
}

/** A line for each of the sources that lack most. */
function worst(files: readonly SourceCoverage[]): string[] {
  return files
    .filter((file) => lacking(file) > 0)
    .toSorted((a, b) => lacking(b) - lacking(a))
    .slice(0, MOST_FILES)
    .map((file) => {
      const notRun = file.missedLines.length === 0 ? "" : `; not run: ${lineRanges(file.missedLines)}`;
      const notTaken =
        file.missedBranches.length === 0 ? "" : `; branches not taken: ${lineRanges(file.missedBranches)}`;
      return `  ${file.path}: ${percentages(file)}${notRun}${notTaken}`;
    });
}

function lacking({ lines, branches }: SourceCoverage): number {
  return lines.total - lines.covered + branches.total - branches.covered;
}

function percentages({ lines, branches }: Pick<Coverage, "lines" | "branches">): string {
  return `lines ${percentText(lines)}, branches ${percentText(branches)}`;
}

/** Rounded down: what is short of a threshold does not look as if it met it. */
function percentText(share: Share): string {
  return `${(Math.floor(percent(share) * 10) / 10).toFixed(1)} %`;
}

/** All of nothing is covered. */
function percent({ covered, total }: Share): number {
  return total === 0 ? 100 : (100 * covered) / total;
}

/** `1-3, 7`: ascending numbers as ranges. */
function lineRanges(lines: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const line of lines) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === line - 1) last[1] = line;
    else ranges.push([line, line]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}
