import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { CgroupPlacement } from "../vm/record.ts";
import { type CgroupHost, v1HierarchyOf } from "./detect.ts";

/**
 * Where a VM's cgroups lie: `<mount>/<parent>/<id>` in each hierarchy, which is where the jailer makes them. Pure path
 * arithmetic; makes nothing.
 *
 * @param parent - Relative path of the cgroup that holds all VMs, `jailer` by default of the faces.
 * @param controllers - Of {@link CompiledLimits}: the hierarchies that the VM is placed in.
 * @throws {@link WarderError} `cgroup-unavailable` where a controller is not mounted; `invalid-config` where the parent
 * is not a relative path of plain names.
 */
export function placeVm(
  cgroups: CgroupHost,
  version: 1 | 2,
  parent: string,
  id: VmId,
  controllers: readonly string[],
): CgroupPlacement {
  refuseOddParent(parent);
  const path = `/${parent}/${id}`;
  const directories = Object.fromEntries(
    controllers.map((controller) => [controller, toHostPath(`${mountOf(cgroups, version, controller)}${path}`)]),
  );
  return Object.freeze({ version, path, directories: Object.freeze(directories) });
}

/** The distinct directories of a placement: one on v2, one for each hierarchy on v1. */
export function directoriesOf(placement: CgroupPlacement): HostPath[] {
  return [...new Set(Object.values(placement.directories))];
}

function mountOf(cgroups: CgroupHost, version: 1 | 2, controller: string): HostPath {
  const hierarchy = version === 2 ? cgroups.v2 : v1HierarchyOf(cgroups, controller);
  if (hierarchy !== undefined) return hierarchy.directory;
  throw new WarderError("cgroup-unavailable", {
    doing: `placing a VM in the ${controller} controller of cgroup v${version}`,
    why: "it is not mounted",
  });
}

/** The jailer takes no absolute path, `.` or `..`; a name that begins with the kernel's file names would meet a file. */
function refuseOddParent(parent: string): void {
  const odd = parent.split("/").find((part) => !/^[A-Za-z0-9_@:-][A-Za-z0-9_.@:-]*$/.test(part));
  if (odd === undefined) return;
  throw new WarderError("invalid-config", {
    doing: "placing a VM's cgroup",
    why: "the parent cgroup is wrong",
    fields: [{ field: "parentCgroup", problem: `${JSON.stringify(parent)} must be a relative path of plain names` }],
  });
}
