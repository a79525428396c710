import { isWarderError, messageOf, systemCodeOf } from "../../vm/error.ts";
import { type HostPath, toHostPath } from "../../vm/path.ts";
import { type CgroupController, type Check, type CheckContext, neededControllers } from "../check.ts";
import { ok, problem, skipped, type Verdict, warning } from "../report.ts";

const furtherControllers: readonly CgroupController[] = ["cpuset", "io"];

/** Checks of cgroups, for the version that VMs would be placed in. */
export const cgroupChecks: readonly Check[] = [
  { code: "cgroup-version", run: checkVersion },
  { code: "cgroup-controllers", run: checkFurtherControllers },
  { code: "cgroup-writable", run: checkWritable },
  { code: "cgroup-v2-internal-processes", run: checkParent },
];

function checkVersion({ deps }: CheckContext): Verdict {
  const version = attempt(() => deps.cgroups.choose(neededControllers));
  if (version instanceof Failure) return problem(version.why, version.cure);
  return ok(`version ${version} has ${neededControllers.join(", ")}`);
}

function checkFurtherControllers({ deps }: CheckContext): Verdict {
  const version = chosenVersion(deps);
  if (version === undefined) return skipped("no cgroup version can be used");
  const lacks = furtherControllers.map(
    (each) => [each, attempt(() => deps.cgroups.choose([...neededControllers, each]))] as const,
  );
  const missing = lacks.filter(([, found]) => found instanceof Failure).map(([controller]) => controller);
  if (missing.length === 0) return ok(`${furtherControllers.join(" and ")} are there`);
  return warning(`missing: ${missing.join(", ")}`);
}

/** Really makes a cgroup at each mount, and removes it. */
async function checkWritable({ host, deps }: CheckContext): Promise<Verdict> {
  const version = chosenVersion(deps);
  if (version === undefined) return skipped("no cgroup version can be used");
  const { pid } = host.processes.self;
  const tried = deps.cgroups.mounts(version, neededControllers).map(async (mount) => {
    const error = await makeAndRemove(toHostPath(`${mount}/warder-doctor-${pid}`));
    return error === undefined ? [] : [`${mount}: ${error}`];
  });
  const failures = (await Promise.all(tried)).flat();
  return failures.length === 0 ? ok("one was made and removed") : problem(failures.join("; "));

  async function makeAndRemove(directory: HostPath): Promise<string | undefined> {
    try {
      // Absent, unless a doctor with the same pid was killed here before.
      host.files.ensureDirectory(directory, { mode: 0o755 });
      await host.files.removeDirectory(directory);
      return undefined;
    } catch (error) {
      return systemCodeOf(error) ?? messageOf(error);
    }
  }
}

function checkParent({ deps }: CheckContext): Verdict {
  const version = chosenVersion(deps);
  if (version === undefined) return skipped("no cgroup version can be used");
  if (version === 1) return ok("cgroup v1 has no such rule");
  const outcome = attempt(() => deps.cgroups.checkParent(version, neededControllers));
  return outcome instanceof Failure
    ? problem(outcome.why, outcome.cure)
    : ok("the parent cgroup can pass controllers down");
}

function chosenVersion(deps: CheckContext["deps"]): 1 | 2 | undefined {
  const version = attempt(() => deps.cgroups.choose(neededControllers));
  return version instanceof Failure ? undefined : version;
}

/** Why something was refused, and its own cure where it has one. */
class Failure {
  readonly why: string;
  readonly cure: { readonly cure?: string };
  constructor(error: unknown) {
    this.why = isWarderError(error) ? error.why : messageOf(error);
    this.cure = isWarderError(error) && error.cure !== undefined ? { cure: `${error.cure}.` } : {};
  }
}

function attempt<T>(action: () => T): T | Failure {
  try {
    return action();
  } catch (error) {
    return new Failure(error);
  }
}
