/** The members of `/proc/<pid>/stat` that Warder uses. See proc_pid_stat(5). */
export interface ProcStat {
  readonly pid: number;
  readonly command: string;
  /** One letter: `R`, `S`, `Z` … */
  readonly state: string;
  readonly parentPid: number;
  /** Field 22: start time in clock ticks since boot. */
  readonly startTicks: string;
}

/**
 * Parses `/proc/<pid>/stat`; `undefined` where it is not one. The command is whatever the process calls itself, spaces
 * and brackets included, so the fields are counted from the last bracket.
 */
export function parseStat(text: string): ProcStat | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return undefined;
  const rest = text
    .slice(close + 1)
    .trim()
    .split(/\s+/);
  const pid = Number(text.slice(0, open).trim());
  const [state, parentPid] = rest;
  const startTicks = rest[19];
  if (!Number.isSafeInteger(pid) || state === undefined || startTicks === undefined || !/^\d+$/.test(startTicks)) {
    return undefined;
  }
  return { pid, command: text.slice(open + 1, close), state, parentPid: Number(parentPid), startTicks };
}
