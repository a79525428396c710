import { WarderError } from "../vm/error.ts";
import { type Controller, v1Name } from "./controllers.ts";
import { type CgroupHost, v1HierarchyOf } from "./detect.ts";

/**
 * Which cgroup version a VM is placed in: 2 where the cgroup2 mount holds every needed controller, else 1 where the v1
 * mounts do. The jailer does not detect it, and its default is 1 whatever the host has.
 *
 * @param needed - See {@link neededControllers}.
 * @param asked - The version that the caller insists on.
 * @throws {@link WarderError} `cgroup-unavailable`, naming what is missing where.
 */
export function chooseVersion(cgroups: CgroupHost, needed: readonly Controller[], asked?: 1 | 2): 1 | 2 {
  const candidates: readonly (1 | 2)[] = asked === undefined ? [2, 1] : [asked];
  const fit = candidates.find((version) => lackOf(cgroups, version, needed) === undefined);
  if (fit !== undefined) return fit;
  const lacks = candidates.map((version) => lackOf(cgroups, version, needed));
  throw new WarderError("cgroup-unavailable", {
    doing: `choosing a cgroup version for ${needed.join(", ")}`,
    why: `${asked === undefined ? "" : `cgroup v${asked} was asked for, but `}${lacks.join("; ")}`,
    cure: asked === undefined ? bothCure : otherCure(cgroups, needed, asked),
  });
}

const bothCure =
  "Boot the host with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all, so that cgroup v2 holds all controllers, " +
  "or mount the v1 controllers; in a container, mount its cgroups writable";

/** What a version lacks of the needed controllers, as a clause; `undefined` where it lacks nothing. */
function lackOf(cgroups: CgroupHost, version: 1 | 2, needed: readonly Controller[]): string | undefined {
  return version === 2 ? lackOfV2(cgroups, needed) : lackOfV1(cgroups, needed);
}

function lackOfV2({ v2 }: CgroupHost, needed: readonly Controller[]): string | undefined {
  if (v2 === undefined) return "no cgroup2 file system is mounted";
  if (!v2.writable) return `the cgroup2 mount ${v2.directory} is read-only`;
  const missing = needed.filter((controller) => !v2.controllers.includes(controller));
  if (missing.length === 0) return undefined;
  const held = v2.controllers.length === 0 ? "holds no controller" : `holds only ${v2.controllers.join(", ")}`;
  return `the cgroup2 mount ${v2.directory} ${held}: ${list(missing)} missing`;
}

function lackOfV1(cgroups: CgroupHost, needed: readonly Controller[]): string | undefined {
  const missing = needed.map(v1Name).filter((name) => v1HierarchyOf(cgroups, name) === undefined);
  if (missing.length > 0) {
    const held = cgroups.v1.flatMap(({ controllers }) => controllers);
    return `the v1 mounts hold ${held.length === 0 ? "no controller" : `only ${held.join(", ")}`}: ${list(missing)} missing`;
  }
  const fixed = needed.map((each) => v1HierarchyOf(cgroups, v1Name(each))).find((each) => each?.writable === false);
  return fixed === undefined ? undefined : `the v1 mount ${fixed.directory} is read-only`;
}

function otherCure(cgroups: CgroupHost, needed: readonly Controller[], asked: 1 | 2): string {
  const other = asked === 1 ? 2 : 1;
  if (lackOf(cgroups, other, needed) !== undefined) return bothCure;
  return `Ask for cgroup version ${other}, or for none, on this host`;
}

function list(names: readonly string[]): string {
  return `${names.join(", ")} ${names.length === 1 ? "is" : "are"}`;
}
