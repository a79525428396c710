import { type Counts, countOutcomes, type FileResult, type TestRecord } from "./tally.ts";

/** `12 passed, 0 failed, 3 skipped`: the last line of a run, which other programs may read. */
export function countsText({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** A duration as a person would say it. */
export function secondsText(ms: number): string {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** One line for a test file that has ended. */
export function fileLine({ file, records, durationMs }: FileResult): string {
  const { failed, skipped } = countOutcomes(records);
  const parts = [
    records.length === 1 ? "1 test" : `${records.length} tests`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    secondsText(durationMs),
  ];
  return `${failed > 0 ? "FAIL" : "ok  "} ${file} (${parts.join(", ")})`;
}

/** All that is known about the failures of a file: each in full, then what the file printed. Empty if there are none. */
export function failureLines({ records, output }: FileResult): string[] {
  const failed = records.filter((record) => record.outcome === "failed");
  if (failed.length === 0) return [];
  const printed = output.trimEnd();
  return [
    ...failed.flatMap((record) => ["", `  ${record.name}`, ...indented(record.failure ?? "", 4)]),
    ...(printed === "" ? [] : ["", "  what the file printed:", ...indented(printed, 4)]),
    "",
  ];
}

/** The skipped tests by what they lack: heading, names; empty if none was skipped. */
export function skipLines(records: readonly TestRecord[]): string[] {
  const groups = Map.groupBy(
    records.filter((record) => record.outcome === "skipped"),
    (record) => record.reason ?? "",
  );
  if (groups.size === 0) return [];
  const table = [...groups].flatMap(([reason, skipped]) => [
    `  ${skipped.length} × ${reason}`,
    ...skipped.map(({ file, name }) => `      ${file}: ${name}`),
  ]);
  return ["Skipped:", ...table];
}

/** The names of all that failed, to be found at the end of a long output; empty if nothing did. */
export function failedLines(records: readonly TestRecord[], problems: readonly string[]): string[] {
  const failed = records.filter((record) => record.outcome === "failed").map(({ file, name }) => `${file}: ${name}`);
  const all = [...failed, ...problems];
  return all.length === 0 ? [] : ["Failed:", ...all.map((each) => `  ${each}`)];
}

function indented(text: string, by: number): string[] {
  return text.split("\n").map((line) => `${" ".repeat(by)}${line}`.trimEnd());
}
