import type { CgroupHost, Hierarchy } from "../cgroup/detect.ts";
import type { JailUser } from "../jailer/jail.ts";
import { layOut } from "../jailer/layout.ts";
import type { VmId } from "../vm/id.ts";
import { type HostPath, toHostPath } from "../vm/path.ts";
import type { JailLayout } from "../vm/record.ts";
import type { VmSpec } from "../vm/spec.ts";
import { commandOf, type StartCommand } from "./command.ts";
import { planCgroup, planNamespace } from "./plan.ts";

/** A host as it is taken to be where none is looked at. */
export interface AssumedHost {
  /** Taken as it is written: a start resolves symbolic links first, as the jailer does. */
  readonly firecracker: HostPath;
  readonly jailer: HostPath;
  readonly chrootBase: HostPath;
  readonly parentCgroup: string;
  readonly cgroupVersion: 1 | 2;
  readonly user: JailUser;
}

/** What a start would run, and where its jail would lie. */
export interface StartPreview extends StartCommand {
  readonly layout: JailLayout;
}

/**
 * What a jailed start comes to on a common host: by the same rules as a start, of a host that is only thought of. Pure.
 *
 * @throws {@link WarderError} `socket-path-too-long`, `invalid-argument` for an id that is Firecracker's file name.
 */
export function previewStart(spec: VmSpec, id: VmId, assumed: AssumedHost): StartPreview {
  const { firecracker, jailer, chrootBase, parentCgroup, cgroupVersion, user } = assumed;
  const layout = layOut(chrootBase, firecracker, id, spec.apiSocket);
  const cgroup = planCgroup(commonCgroups(cgroupVersion), { parentCgroup, cgroupVersion }, id, spec);
  const binaries = { firecracker, jailer, version: "0.0.0" };
  const plan = { id, spec, layout, cgroup, assets: [], ...planNamespace(id, spec), binaries };
  return { layout, ...commandOf(plan, user, parentCgroup) };
}

/** What most hosts have: every controller, swap accounted, pages of 4 KiB. */
function commonCgroups(version: 1 | 2): CgroupHost {
  const hierarchy = (directory: string, controllers: readonly string[]): Hierarchy => ({
    directory: toHostPath(directory),
    controllers,
    writable: true,
  });
  const v1 = ["memory", "cpu", "cpuacct", "pids", "cpuset", "blkio"];
  return {
    v1: version === 1 ? v1.map((name) => hierarchy(`/sys/fs/cgroup/${name}`, [name])) : [],
    ...(version === 2 ? { v2: hierarchy("/sys/fs/cgroup", ["cpuset", "cpu", "io", "memory", "pids"]) } : {}),
    pageBytes: 4096,
    swapFiles: { v1: ["memory.memsw.limit_in_bytes", "memory.swappiness"], v2: ["memory.swap.max"] },
    v1Cpuset: { cpus: "0", memoryNodes: "0" },
  };
}
