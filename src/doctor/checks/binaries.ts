import type { HostPath } from "../../vm/path.ts";
import type { BinaryReport, Check, CheckContext, DoctorSettings } from "../check.ts";
import { ok, problem, skipped, type Verdict, warning } from "../report.ts";

/** Kinds of problems that have checks of their own; every other kind keeps the binary from being a program at all. */
const STATIC = "not-static";
const OWNER = "changeable";

/** Checks of Firecracker and the jailer. A binary is run, for its version, only where nothing is wrong with it. */
export const binaryChecks: readonly Check[] = [
  { code: "firecracker-binary", run: (context) => checkPresence(context, context.settings.firecracker) },
  { code: "jailer-binary", run: (context) => checkPresence(context, context.settings.jailer) },
  { code: "binaries-static", run: (context) => checkKind(context, STATIC, "both are static") },
  { code: "binaries-owner", run: (context) => checkKind(context, OWNER, "only root can change them") },
  { code: "binaries-version-match", run: checkVersionMatch },
  { code: "binaries-supported", run: checkSupport },
];

function checkPresence({ settings, deps }: CheckContext, path: HostPath | undefined): Verdict {
  if (path === undefined) return problem(`none was found${searchedText(settings)}`);
  const { resolved, problems } = deps.examineBinary(path);
  const reasons = problems.filter(({ kind }) => kind !== STATIC && kind !== OWNER).map(({ why }) => why);
  if (reasons.length > 0) return problem(reasons.join("; "));
  return ok(resolved === path || resolved === undefined ? path : `${path}, which is ${resolved}`);
}

function searchedText({ searched = [] }: DoctorSettings): string {
  const places = searched.map(({ source, outcome }) => `${source}: ${outcome}`);
  return places.length === 0 ? "" : ` (${places.join("; ")})`;
}

function checkKind(context: CheckContext, kind: string, fine: string): Verdict {
  const reports = examineAll(context);
  if (reports.length === 0) return skipped("there are no binaries");
  const reasons = reports.flatMap(({ problems }) => problems.filter((each) => each.kind === kind));
  // The directories above are often the same ones.
  if (reasons.length > 0) return problem([...new Set(reasons.map(({ why }) => why))].join("; "));
  return ok(reports.length === 2 ? fine : `nothing is wrong with ${reports[0]?.path}`);
}

async function checkVersionMatch(context: CheckContext): Promise<Verdict> {
  const versions = await readVersions(context);
  if (typeof versions === "string") return skipped(versions);
  const { firecracker, jailer } = versions;
  if (firecracker === jailer) return ok(`both are ${firecracker}`);
  return problem(`Firecracker is ${firecracker} and the jailer is ${jailer}`);
}

async function checkSupport(context: CheckContext): Promise<Verdict> {
  const versions = await readVersions(context);
  if (typeof versions === "string") return skipped(versions);
  const { supported, why } = context.deps.supportOf(versions.firecracker);
  return supported ? ok(`${versions.firecracker} is supported`) : warning(why);
}

/** Reports of the binaries that are there. */
function examineAll({ settings, deps }: CheckContext): BinaryReport[] {
  return [settings.firecracker, settings.jailer]
    .filter((path) => path !== undefined)
    .map((path) => deps.examineBinary(path))
    .filter(({ resolved }) => resolved !== undefined);
}

/** The versions, or why they can not be read. */
async function readVersions(context: CheckContext): Promise<{ firecracker: string; jailer: string } | string> {
  const [firecracker, jailer] = examineAll(context);
  if (firecracker === undefined || jailer === undefined) return "both binaries are needed";
  const unfit = [firecracker, jailer].find(({ problems }) => problems.length > 0);
  if (unfit !== undefined) return `${unfit.path} is not fit to be run`;
  const { readVersion } = context.deps;
  const [first, second] = await Promise.all(
    [firecracker, jailer].map(({ path, resolved }) => readVersion(resolved ?? path, context.signal)),
  );
  return { firecracker: first ?? "", jailer: second ?? "" };
}
