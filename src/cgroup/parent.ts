import type { Host } from "../host/host.ts";
import { systemCodeOf, WarderError } from "../vm/error.ts";
import type { HostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import { directoriesOf } from "./place.ts";

/**
 * Refuses a placement which the jailer would fail in. Makes nothing: the jailer makes the parent, and on v2 passes
 * the controllers down to it.
 *
 * @throws {@link WarderError} `jail-exists` where a cgroup of this id is there already; `cgroup-unavailable` where v2
 * can not pass a controller down: an ancestor holds processes, lacks the controller, or is threaded.
 */
export function ensureParent(host: Host, placement: CgroupPlacement, controllers: readonly string[]): void {
  for (const directory of directoriesOf(placement)) refuseExisting(host, directory);
  if (placement.version === 1) return;
  for (const ancestor of ancestorsOf(placement)) {
    if (host.files.inspect(ancestor) === undefined) return;
    refuseUnfitAncestor(host, ancestor, controllers);
  }
}

/** Directories above a VM's own, from the mount down to the parent. A v2 placement has one line of them. */
export function ancestorsOf(placement: CgroupPlacement): HostPath[] {
  const [directory] = directoriesOf(placement);
  if (directory === undefined) return [];
  const mount = directory.slice(0, -placement.path.length);
  const parts = placement.path.split("/").slice(1, -1);
  return [mount, ...parts.map((_part, index) => `${mount}/${parts.slice(0, index + 1).join("/")}`)] as HostPath[];
}

function refuseExisting(host: Host, directory: HostPath): void {
  if (host.files.inspect(directory) === undefined) return;
  throw new WarderError("jail-exists", {
    doing: `preparing the cgroup ${directory}`,
    why: "it is there already, and was not made for this VM",
    cure: "Use another id, or look at `warder gc --dry-run`",
  });
}

/**
 * The kernel's rule for v2: a cgroup which passes controllers down holds no process of its own, the root of the whole
 * hierarchy excepted. The jailer then fails with EBUSY on `cgroup.subtree_control`; here it is said what to do.
 */
function refuseUnfitAncestor(host: Host, directory: HostPath, controllers: readonly string[]): void {
  const passed = new Set(readWords(host, `${directory}/cgroup.subtree_control`));
  const wanted = controllers.filter((controller) => !passed.has(controller));
  if (wanted.length === 0) return;
  const held = new Set(readWords(host, `${directory}/cgroup.controllers`));
  const lacking = wanted.filter((controller) => !held.has(controller));
  if (lacking.length > 0)
    throw unfit(directory, `it lacks ${lacking.join(", ")}`, `Enable them in the cgroup.subtree_control above it`);
  // Only the root of the whole hierarchy has no type, and only there processes are no hindrance.
  const type = readWords(host, `${directory}/cgroup.type`).join(" ");
  if (type === "") return;
  if (type !== "domain") throw unfit(directory, `it is ${type}`, "Use another parent cgroup");
  const processes = readWords(host, `${directory}/cgroup.procs`);
  if (processes.length === 0) return;
  throw unfit(
    directory,
    `it holds ${processes.length} process(es) (${processes.slice(0, 5).join(", ")}), so it can not pass ${wanted.join(", ")} down`,
    "Move them into a cgroup below it (as systemd does with Delegate=yes and DelegateSubgroup=), or use another parent cgroup",
  );
}

function unfit(directory: HostPath, why: string, cure: string): WarderError {
  return new WarderError("cgroup-unavailable", {
    doing: `preparing to make VMs' cgroups below ${directory}`,
    why,
    cure,
  });
}

/** Words of a cgroup file; none where the file, or the cgroup, is not there. */
function readWords(host: Host, path: string): string[] {
  try {
    return host.files
      .readText(path)
      .split(/\s+/)
      .filter((word) => word !== "");
  } catch (error) {
    if (["ENOENT", "ENODEV", "EOPNOTSUPP"].includes(systemCodeOf(error) ?? "")) return [];
    throw WarderError.from(error, "cgroup-unavailable", `reading ${path}`);
  }
}
