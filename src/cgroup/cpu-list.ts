/**
 * The kernel's own form of a list of CPUs or memory nodes: ranges in rising order, none touching the next. `1,0,3-3`
 * becomes `0-1,3`. That is how `cpuset.cpus` reads back whatever was written.
 *
 * @throws RangeError where it is no list, or a range runs backwards (which the kernel refuses).
 */
export function normaliseCpuList(list: string): string {
  const ranges = list.split(",").map((part) => parseRange(part, list));
  ranges.sort((one, other) => one.first - other.first);
  const merged: Range[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && range.first <= last.last + 1) last.last = Math.max(last.last, range.last);
    else merged.push(range);
  }
  return merged.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

interface Range {
  readonly first: number;
  last: number;
}

function parseRange(part: string, list: string): Range {
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim());
  if (match === null) throw new RangeError(`${JSON.stringify(list)} is not a list such as 0-3,8`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (last < first) throw new RangeError(`${JSON.stringify(list)} holds the range ${part}, which runs backwards`);
  return { first, last };
}
