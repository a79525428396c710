import type { Check, CheckContext } from "../check.ts";
import { readIfThere } from "../look.ts";
import { ok, problem, type Verdict, warning } from "../report.ts";

/** The last id that isn't special: 2^32 - 1 means "no id" to the kernel. */
const LAST_ID = 0xffff_fffe;
/** Accounts of the system itself are below. */
const FIRST_ORDINARY_ID = 1000;
/** Ids with a meaning of their own: nobody, and "no id" where ids have 16 bits. */
const specialIds = [65_534, 65_535];
/** More names than these help nobody. */
const NAMED_AT_MOST = 5;

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Check of the user and group ids that jails get. */
export const identityChecks: readonly Check[] = [{ code: "uid-range", run: checkUidRange }];

function checkUidRange({ host, settings }: CheckContext): Verdict {
  const { first, count } = settings.uidRange;
  const range = { first, last: first + count - 1 };
  const shown = `${range.first} to ${range.last}`;
  const insane = insaneReason(range);
  if (insane !== undefined) return problem(`${shown} ${insane}`);
  const unmapped = ["uid_map", "gid_map"].filter(
    (map) => !isMapped(readIfThere(host, `${host.roots.proc}/self/${map}`), range),
  );
  if (unmapped.length > 0) return problem(`${shown} is not mapped in this user namespace`, { cure: unmappedCure });
  const etc = settings.etcDirectory ?? "/etc";
  const accounts = [
    ...accountsIn(readIfThere(host, `${etc}/passwd`), range),
    ...accountsIn(readIfThere(host, `${etc}/group`), range),
  ];
  if (accounts.length > 0) return problem(`${shown} belongs to ${list(accounts)}`);
  const subordinate = ["subuid", "subgid"].flatMap((file) =>
    subordinatesIn(readIfThere(host, `${etc}/${file}`), range),
  );
  if (subordinate.length > 0) return warning(`${shown} is shared with containers of ${list(subordinate)}`);
  return ok(`${shown} is nobody else's`);
}

const unmappedCure = "Choose a range inside this container's ids, or run on the host.";

function insaneReason({ first, last }: Range): string | undefined {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first) return "is no range";
  if (first <= 0) return "holds root";
  if (first < FIRST_ORDINARY_ID) return "holds ids of the system's own accounts, which are below 1000";
  if (last > LAST_ID) return "goes beyond the last user id";
  const special = specialIds.find((id) => overlaps({ first, last }, { first: id, last: id }));
  return special === undefined ? undefined : `holds ${special}, which stands for nobody`;
}

/** Lines of user_namespaces(7): first id inside, first outside, how many. No such file: no namespaces. */
function isMapped(map: string | undefined, range: Range): boolean {
  if (map === undefined) return true;
  return map.split("\n").some((line) => {
    const [inside = Number.NaN, , length = Number.NaN] = line.trim().split(/\s+/).map(Number);
    return inside <= range.first && range.last < inside + length;
  });
}

/** Names in passwd(5) or group(5) whose id, the third field in both, is in the range; of accounts the group too. */
function accountsIn(file: string | undefined, range: Range): string[] {
  return rows(file).flatMap(([name, , ...ids]) => {
    const own = ids
      .slice(0, 2)
      .filter((id) => /^\d+$/.test(id))
      .map(Number);
    const met = own.find((id) => overlaps(range, { first: id, last: id }));
    return name === undefined || met === undefined ? [] : [`${name} (${met})`];
  });
}

/** Owners in subuid(5) or subgid(5) of ranges that touch this one. */
function subordinatesIn(file: string | undefined, range: Range): string[] {
  return rows(file).flatMap(([name, first, count]) => {
    const other = { first: Number(first), last: Number(first) + Number(count) - 1 };
    return name !== undefined && overlaps(range, other) ? [`${name} (${other.first} to ${other.last})`] : [];
  });
}

function rows(file: string | undefined): string[][] {
  const lines = (file ?? "").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => line.split(":"));
}

function overlaps(one: Range, other: Range): boolean {
  return one.first <= other.last && other.first <= one.last;
}

function list(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const more = distinct.length - NAMED_AT_MOST;
  return `${distinct.slice(0, NAMED_AT_MOST).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
