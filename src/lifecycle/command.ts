import { jailerCgroups } from "../cgroup/setting.ts";
import { firecrackerArgs } from "../firecracker/arguments.ts";
import { jailerArgv } from "../jailer/argv.ts";
import { fifosOf, type JailUser } from "../jailer/jail.ts";
import { jailNames } from "../jailer/layout.ts";
import type { HostPath } from "../vm/path.ts";
import { isApiOnly } from "../vm/spec.ts";
import { metadataLimits } from "./metadata-device.ts";
import type { StartPlan } from "./plan.ts";
import { metadataFile } from "./steps/place-metadata.ts";

/** What a start runs. */
export interface StartCommand {
  /** The jailer, or Firecracker where it is started without. */
  readonly program: HostPath;
  /** The whole command line, program excluded. */
  readonly args: readonly string[];
}

/** The program that a plan runs, and its command line. Pure. */
export function commandOf(plan: StartPlan, user: JailUser, parentCgroup: string): StartCommand {
  const { spec, layout, cgroup, binaries } = plan;
  if (!spec.jailed) return { program: binaries.firecracker, args: ["--id", plan.id, ...firecrackerOf(plan)] };
  if (cgroup === undefined || binaries.jailer === undefined) {
    throw new TypeError(`the plan of ${plan.id}, which is jailed, has no cgroup or no jailer`);
  }
  const args = jailerArgv({
    id: plan.id,
    execFile: binaries.firecracker,
    ...user,
    chrootBase: layout.base,
    cgroupVersion: cgroup.placement.version,
    parentCgroup,
    cgroups: jailerCgroups(cgroup.settings),
    ...(spec.limits.openFiles === undefined ? {} : { openFiles: spec.limits.openFiles }),
    ...(spec.limits.fileSizeBytes === undefined ? {} : { fileSizeBytes: spec.limits.fileSizeBytes }),
    ...(plan.netns === undefined ? {} : { netns: plan.netns }),
    newPidNamespace: spec.newPidNamespace,
    firecracker: firecrackerOf(plan),
  });
  return { program: binaries.jailer, args };
}

/** Firecracker's own part, with its paths as it sees them. */
function firecrackerOf(plan: StartPlan): string[] {
  const { spec, layout } = plan;
  const { config, log, metrics } = spec.jailed ? jailNames : fifosOf(layout);
  const metadata = metadataFile(plan);
  return firecrackerArgs({
    apiSocket: layout.apiSocket,
    ...(isApiOnly(spec) ? {} : { configFile: config }),
    logPath: log,
    metricsPath: metrics,
    ...(metadata === undefined ? {} : { metadataFile: metadata }),
    ...metadataLimits(spec),
  });
}
